//! What training asks of a model whose learned queries stand between pictures and texts (Li et al. 2023, section 3.2).

use candle_core::Tensor;

use crate::fusion::States;
use crate::model::{Sight, Texts};
use crate::vlm::ModelError;

/// Queries that look at pictures, in one transformer with texts. Who sees whom depends on what is asked.
pub trait Querying {
    /// Tokens of pictures, as the queries look at them.
    fn pictures(&self, sight: &Sight) -> Result<States, ModelError>;
    /// Queries without a text → a feature of length 1 for each query, `[pictures, queries, features]`.
    fn query_features(&self, pictures: &States) -> Result<Tensor, ModelError>;
    /// Texts without queries → a feature of length 1 for each text, `[texts, features]`.
    fn text_features(&self, texts: &Texts) -> Result<Tensor, ModelError>;
    /// What similarities are divided by, a scalar; a variable in training.
    fn temperature(&self) -> Result<&Tensor, ModelError>;
    /// Text `i` and the queries of picture `i`, all seeing all → scores of no match and of a match, the mean over the queries,
    /// `[texts, 2]`.
    fn matches(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError>;
    /// Text `i`, whose tokens see those before them and the queries of picture `i`, which see no text → scores of the word behind
    /// every token, packed `[tokens, vocab]`.
    fn next_words(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError>;
}
