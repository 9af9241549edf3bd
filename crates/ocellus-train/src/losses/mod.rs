//! What a model is graded on.

pub mod guide;
pub mod image_text_momentum;
pub mod language;
