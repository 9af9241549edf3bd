//! What a user reads when something fails: one sentence, a hint, an exit code.

mod causes;
mod failure;

pub use failure::Failure;
