//! Stagewise pretraining of a mixture of modality experts (Bao et al. 2021, sections 3.3 and 3.4): first masked language modelling on
//! texts alone, which trains the text experts; then contrast, matching and masked language modelling on pairs.

use candle_core::{Tensor, Var};
use ocellus_models::ModelError;
use ocellus_models::learner::modality_experts::{ModalityExperts, PretrainingStage};
use ocellus_nn::losses::contrastive::contrastive;
use std::collections::BTreeMap;

use super::masked_words::masked_words;
pub use super::momentum_contrast::{NegativeChoice, Negatives};
use super::momentum_contrast::{borrowed, draw, positives_first, weights};
use super::momentum_distillation::Pairs;

/// Weight of masked tokens beside contrast and matching.
pub const WORDS: f64 = 0.25;

/// The variables that a stage changes.
pub fn trainable(
    model: &dyn ModalityExperts,
    stage: PretrainingStage,
    vars: &BTreeMap<String, Var>,
) -> BTreeMap<String, Var> {
    let own = vars.iter().filter(|(name, _)| model.trains(stage, name));
    own.map(|(name, var)| (name.clone(), var.clone())).collect()
}

/// Masked tokens of texts alone. `hidden` has for every token, packed, the word that was there, or
/// [`IGNORE`](ocellus_nn::ops::loss::IGNORE).
pub fn texts(model: &dyn ModalityExperts, masked: &[Vec<u32>], hidden: &[u32]) -> Result<Tensor, ModelError> {
    let states = model.encode_texts(&borrowed(masked))?;
    masked_words(&states.rows, hidden, |rows| model.token_logits(rows))
}

/// What a step on pairs computed. The losses are nodes of the graph, unweighted.
pub struct Losses {
    /// The mean of both contrasts: by each one's experts, and by the joint ones.
    pub contrast: Tensor,
    pub matching: Tensor,
    pub words: Tensor,
    /// Row `i`: how likely each picture is drawn beside text `i`, up to a factor; `[pairs, pairs]`.
    pub picture_weights: Tensor,
    /// Row `i`: the same of each text beside picture `i`.
    pub text_weights: Tensor,
    pub negatives: Negatives,
}

impl Losses {
    /// Contrast, matching, and words by [`WORDS`].
    pub fn total(&self) -> Result<Tensor, ModelError> {
        Ok(((&self.contrast + &self.matching)? + (&self.words * WORDS)?)?)
    }
}

/// Contrast, matching and masked language modelling on pairs. Negatives are the most similar pictures and texts of the batch, by
/// the experts of each modality.
pub fn pairs(
    model: &dyn ModalityExperts,
    pairs: &Pairs,
    choice: NegativeChoice,
) -> Result<Losses, ModelError> {
    let (own, count) = (borrowed(pairs.texts), pairs.texts.len());
    if count < 2 {
        return Err(ModelError::input("a batch of pairs", "two at least", count));
    }
    let [apart, joint] = model.similarities(pairs.visual, &own)?;
    let contrast = ((contrastive(&apart)? + contrastive(&joint)?)? * 0.5)?;
    let text_weights = weights(&apart, count, 0.0)?;
    let picture_weights = weights(&apart.t()?.contiguous()?, count, 0.0)?;
    let negatives = match choice {
        NegativeChoice::Given(negatives) => negatives,
        NegativeChoice::Sampled(uniform) => Negatives {
            pictures: draw(&picture_weights, uniform)?,
            texts: draw(&text_weights, uniform)?,
        },
    };
    let joint = model.encode(pairs.visual, &borrowed(pairs.masked))?;
    Ok(Losses {
        contrast,
        matching: matching(model, pairs, &negatives)?,
        words: masked_words(&joint.text.rows, pairs.hidden, |rows| model.token_logits(rows))?,
        picture_weights,
        text_weights,
        negatives,
    })
}

/// Every text with its picture, every text with a negative picture, every picture with a negative text.
fn matching(model: &dyn ModalityExperts, pairs: &Pairs, negatives: &Negatives) -> Result<Tensor, ModelError> {
    let (own, visual) = (borrowed(pairs.texts), pairs.visual);
    let found = (negatives.pictures.len(), negatives.texts.len());
    let least = negatives.texts.iter().all(|i| *i < own.len());
    if found != (own.len(), own.len()) || !least {
        let expected = format!("{0} of each, below {0}", own.len());
        let found = format!("{:?} and {:?}", negatives.pictures, negatives.texts);
        return Err(ModelError::input("negatives", expected, found));
    }
    let negative_texts: Vec<&[u32]> = negatives.texts.iter().map(|i| own[*i]).collect();
    let read = |visual, texts: &[&[u32]]| model.matching_logits(&model.encode(visual, texts)?);
    let logits = [
        read(visual, &own)?,
        read(&visual.pick(&negatives.pictures)?, &own)?,
        read(visual, &negative_texts)?,
    ];
    positives_first(&Tensor::cat(&logits, 0)?)
}
