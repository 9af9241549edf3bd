//! What a model is graded on.

pub mod answers;
pub mod guide;
pub mod image_text_language;
pub mod image_text_momentum;
pub mod language;
pub mod masked_regions;
pub mod masked_words;
pub mod momentum_contrast;
pub mod queries_and_text;
pub mod single_stream;
pub mod staged_experts;
