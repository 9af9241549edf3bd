//! What a model is graded on.

pub mod answers;
pub mod guide;
pub mod image_text_momentum;
pub mod language;
pub mod queries_and_text;
