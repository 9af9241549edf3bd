//! The multimodal mixture of encoder-decoder (Li et al. 2022, section 3.2): one text model as a text encoder, as an image-grounded
//! text encoder, and as an image-grounded text decoder, beside a picture tower. Both towers have an EMA teacher.

use candle_core::Tensor;

use super::momentum_contrast::MomentumContrast;
use crate::dual_encoder::DualEncoder;
use crate::error::ModelError;
use crate::states::States;
use crate::visual_input::Texts;

/// Texts come as for the text tower; the model sets its own first token for each use of the text model.
pub trait EncoderDecoderMixture: MomentumContrast {
    fn student(&self) -> &dyn DualEncoder;
    fn teacher(&self) -> &dyn DualEncoder;
    /// The image-grounded text encoder: matching logits (no match, match) of text `i` with picture `i`, `[texts, 2]`.
    fn matching_logits(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError>;
    /// The image-grounded text decoder: logits of the token that follows each token of text `i` under picture `i`,
    /// `[tokens, vocab]`.
    fn next_token_logits(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError>;
}
