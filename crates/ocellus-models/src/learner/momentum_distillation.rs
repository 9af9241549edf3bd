//! Momentum distillation (Li et al. 2021, section 3): a fusion encoder with an EMA teacher of the same structure.

use candle_core::Tensor;

use super::momentum_contrast::MomentumContrast;
use crate::dual_encoder::FusionEncoder;
use crate::error::ModelError;
use crate::states::States;

/// A fusion encoder that learns from an EMA teacher.
pub trait MomentumDistillation: MomentumContrast {
    fn student(&self) -> &dyn FusionEncoder;
    fn teacher(&self) -> &dyn FusionEncoder;
    /// Image-text matching logits (no match, match), `[texts, 2]`.
    fn matching_logits(&self, fused: &States) -> Result<Tensor, ModelError>;
}
