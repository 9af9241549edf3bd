//! Dual encoders, and fusion encoders on top of them.

use candle_core::Tensor;

use crate::error::ModelError;
use crate::states::States;
use crate::visual_input::{Texts, VisualInput};

/// A model with a picture tower and a text tower.
pub trait DualEncoder {
    fn pictures(&self, visual: &VisualInput) -> Result<States, ModelError>;
    fn texts(&self, texts: &Texts) -> Result<States, ModelError>;
    /// A feature of norm 1 for each picture, `[pictures, features]`.
    fn picture_features(&self, pictures: &States) -> Result<Tensor, ModelError>;
    /// A feature of norm 1 for each text, `[texts, features]`.
    fn text_features(&self, texts: &States) -> Result<Tensor, ModelError>;
}

/// A dual encoder with a fusion encoder, whose layers let texts attend to pictures.
pub trait FusionEncoder: DualEncoder {
    /// The states of the texts after the fusion layers; text `i` attends to picture `i`.
    fn fuse(&self, texts: &States, pictures: &States) -> Result<States, ModelError>;
    /// The MLM head: logits `[tokens, vocab]`.
    fn token_logits(&self, fused: &States) -> Result<Tensor, ModelError>;
}
