//! Training objectives.

pub mod answers;
pub mod attention_guide;
pub mod encoder_decoder_mixture;
pub mod language;
pub mod masked_regions;
pub mod masked_words;
pub mod modality_experts;
pub mod momentum_contrast;
pub mod momentum_distillation;
pub mod qformer;
pub mod single_stream;
