//! The reference forward pass of a family, for parity: the reference's own arguments in padded batches, and its intermediate
//! results by name. Nothing here is used when a model answers.

pub mod given;
mod prompt;
pub mod prompts;
mod trace;

pub use given::Given;
pub use prompt::ReferencePrompt;
pub use trace::Trace;
