//! The first stage of Q-Former training (Li et al. 2023, section 3.2): learned queries and texts in one transformer. The attention
//! mask depends on the objective.

use candle_core::Tensor;

use crate::error::ModelError;
use crate::states::States;
use crate::visual_input::{Texts, VisualInput};

/// A Q-Former over a picture tower, in vision-language representation learning.
pub trait QFormerPretraining {
    /// Tokens of pictures, which the queries attend to.
    fn pictures(&self, visual: &VisualInput) -> Result<States, ModelError>;
    /// Queries without a text → a feature of norm 1 for each query, `[pictures, queries, features]`.
    fn query_features(&self, pictures: &States) -> Result<Tensor, ModelError>;
    /// Texts without queries → a feature of norm 1 for each text, `[texts, features]`.
    fn text_features(&self, texts: &Texts) -> Result<Tensor, ModelError>;
    /// The temperature that similarities are divided by, a scalar; a variable in training.
    fn temperature(&self) -> Result<&Tensor, ModelError>;
    /// Image-text matching with a bidirectional mask: text `i` and the queries of picture `i` → logits (no match, match), the mean
    /// over the queries, `[texts, 2]`.
    fn matching_logits(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError>;
    /// Image-grounded text generation with a multimodal causal mask: the tokens of text `i` attend to the queries of picture `i` and
    /// to earlier tokens, queries to queries → logits of the token behind every token, packed `[tokens, vocab]`.
    fn next_token_logits(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError>;
}
