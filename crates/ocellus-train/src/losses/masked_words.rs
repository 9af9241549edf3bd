//! Masked language modelling (Devlin et al. 2019, section 3.1): the masked tokens, predicted from the states of their places.

use candle_core::Tensor;
use ocellus_models::ModelError;
use ocellus_nn::ops::loss::{IGNORE, cross_entropy};
use std::sync::Arc;

/// Mean cross-entropy of the masked tokens. `states [tokens, width]` are those of packed texts, `hidden` has for every
/// token the word that was there or [`IGNORE`], `head` turns rows of states into logits. Without a mask there is
/// nothing to learn: 0.
pub fn masked_words(
    states: &Tensor,
    hidden: &[u32],
    head: impl FnOnce(&Tensor) -> Result<Tensor, ModelError>,
) -> Result<Tensor, ModelError> {
    if states.dim(0)? != hidden.len() {
        return Err(ModelError::input("hidden words", states.dim(0)?, hidden.len()));
    }
    let (rows, truth): (Vec<u32>, Vec<u32>) = (0u32..)
        .zip(hidden)
        .filter(|(_, t)| **t != IGNORE)
        .map(|(i, t)| (i, *t))
        .unzip();
    let count = rows.len();
    if count == 0 {
        return Ok(states.zeros_like()?.sum_all()?);
    }
    let rows = Tensor::from_vec(rows, count, states.device())?;
    let truth: Arc<[u32]> = truth.into();
    let logits = head(&states.index_select(&rows, 0)?)?;
    Ok((cross_entropy(&logits, &truth)? / count as f64)?)
}
