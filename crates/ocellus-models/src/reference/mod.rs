//! Replay of a family's reference forward pass, for parity: the reference's arguments in padded batches, and its intermediate
//! results by name. Inference does not use it.

pub mod given;
mod prompt;
pub mod prompts;
mod trace;

pub use given::Given;
pub use prompt::ReferencePrompt;
pub use trace::Trace;
