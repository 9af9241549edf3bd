//! What a model is graded on.

pub mod guide;
pub mod image_text_momentum;
pub mod language;
pub mod masked_regions;
pub mod masked_words;
pub mod single_stream;
