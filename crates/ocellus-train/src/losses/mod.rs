//! What a model is graded on.

pub mod guide;
pub mod language;
