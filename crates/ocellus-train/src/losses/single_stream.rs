//! Image-text matching, word-region alignment and masked language modelling for single-stream models (Kim et al. 2021, section 4.2;
//! Chen et al. 2020, section 3.2).
//!
//! A text is encoded with its own picture or with another one, and the matching head tells which. The alignment is the cost of the
//! optimal transport from words to patches or regions, which is to be low for a pair and high for a negative. Masked tokens are
//! predicted with the text's own picture.

use candle_core::{DType, Tensor};
use ocellus_models::learner::single_stream::SingleStream;
use ocellus_models::{JointStates, ModelError, VisualInput};
use ocellus_nn::losses::transport::{Proximal, transport};
use ocellus_nn::ops::loss::cross_entropy;
use std::sync::Arc;

use super::masked_words::masked_words;

/// Weight of the alignment beside the matches.
pub const ALIGNMENT: f64 = 0.1;

/// Texts, each with a picture that is its own or another one.
pub struct Shown<'a> {
    pub visual: &'a VisualInput,
    pub texts: &'a [Vec<u32>],
    /// Whether picture `i` belongs to text `i`.
    pub matched: &'a [bool],
}

/// Texts with words masked, each with its picture.
pub struct Masked<'a> {
    pub visual: &'a VisualInput,
    pub texts: &'a [Vec<u32>],
    /// For every token, packed: the word that was there, or [`IGNORE`](ocellus_nn::ops::loss::IGNORE).
    pub hidden: &'a [u32],
}

/// Nodes of the graph, each unweighted.
pub struct Matching {
    pub matching: Tensor,
    pub alignment: Tensor,
}

impl Matching {
    /// The matches, and the alignment by [`ALIGNMENT`].
    pub fn total(&self) -> Result<Tensor, ModelError> {
        Ok((&self.matching + (&self.alignment * ALIGNMENT)?)?)
    }
}

/// What a step computed.
pub struct Losses {
    pub matches: Matching,
    pub words: Tensor,
}

impl Losses {
    pub fn total(&self) -> Result<Tensor, ModelError> {
        Ok((self.matches.total()? + &self.words)?)
    }
}

/// Matches, alignment and masked tokens in one step. Models that take one task a batch call [`matches()`] and [`words`] by
/// themselves.
pub fn step(model: &dyn SingleStream, shown: &Shown, masked: &Masked) -> Result<Losses, ModelError> {
    Ok(Losses {
        matches: matches(model, shown)?,
        words: words(model, masked)?,
    })
}

/// Matches and their alignment.
pub fn matches(model: &dyn SingleStream, shown: &Shown) -> Result<Matching, ModelError> {
    if shown.matched.len() != shown.texts.len() || shown.texts.is_empty() {
        let found = format!("{} for {} texts", shown.matched.len(), shown.texts.len());
        return Err(ModelError::input("labels", "one for every text", found));
    }
    let joint = model.encode(shown.visual, &borrowed(shown.texts))?;
    let targets: Arc<[u32]> = shown.matched.iter().map(|m| u32::from(*m)).collect();
    let matching = cross_entropy(&model.matching_logits(&joint)?, &targets)?;
    Ok(Matching {
        matching: (matching / targets.len() as f64)?,
        alignment: alignment(model, &joint, shown.matched)?,
    })
}

/// The distances of matches less those of negatives, over the number of both: half the difference of their means in a batch of
/// halves, and defined in a batch that lacks one of them.
fn alignment(model: &dyn SingleStream, joint: &JointStates, matched: &[bool]) -> Result<Tensor, ModelError> {
    let (words, seen) = model.alignable(joint)?;
    let mut signed = Vec::with_capacity(matched.len());
    for ((words, seen), matched) in words.each()?.iter().zip(&seen.each()?).zip(matched) {
        let carried = transport(
            &words.to_dtype(DType::F32)?,
            &seen.to_dtype(DType::F32)?,
            Proximal::default(),
        )?;
        signed.push((carried.distance * if *matched { 1.0 } else { -1.0 })?);
    }
    Ok(Tensor::stack(&signed, 0)?.mean_all()?)
}

/// Masked tokens beside their pictures.
pub fn words(model: &dyn SingleStream, masked: &Masked) -> Result<Tensor, ModelError> {
    let joint = model.encode(masked.visual, &borrowed(masked.texts))?;
    masked_words(&joint.text.rows, masked.hidden, |rows| model.token_logits(rows))
}

fn borrowed(texts: &[Vec<u32>]) -> Vec<&[u32]> {
    texts.iter().map(Vec::as_slice).collect()
}
