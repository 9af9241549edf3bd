//! The objectives of the multimodal mixture of encoder-decoder (Li et al. 2022, section 3.2): image-text contrast with an EMA teacher,
//! image-text matching with the image-grounded text encoder, language modelling with the image-grounded text decoder.

use candle_core::{Tensor, Var};
use ocellus_models::learner::encoder_decoder_mixture::EncoderDecoderMixture;
use ocellus_models::learner::momentum_contrast::{MomentumContrast, Queues};
use ocellus_models::{ModelError, VisualInput};
use ocellus_nn::ops::loss::{IGNORE, smoothed_cross_entropy};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use super::momentum_contrast::{MomentumSettings, NegativeChoice, Negatives, ema_update};
use super::momentum_contrast::{Side, borrowed, compare, positives_first};

/// Added to the likelihoods by which negatives are drawn, so that every row has one.
pub const FLOOR: f64 = 1e-4;
/// Share of every target word that is spread over the vocabulary.
pub const SMOOTHING: f64 = 0.1;

/// What a step computed. The losses are nodes of the graph.
pub struct Losses {
    pub contrast: Tensor,
    pub matching: Tensor,
    pub language: Tensor,
    /// Row `i`: how likely each picture is drawn beside text `i`, up to a factor; `[pairs, pairs]`.
    pub picture_weights: Tensor,
    /// Row `i`: the same of each text beside picture `i`.
    pub text_weights: Tensor,
    pub negatives: Negatives,
}

impl Losses {
    /// All of them, equally weighted.
    pub fn total(&self) -> Result<Tensor, ModelError> {
        Ok(((&self.contrast + &self.matching)? + &self.language)?)
    }
}

/// One step up to the losses over pictures and the texts that belong to them. `vars` and `states` are the student's and the
/// teacher's tensors by name; the queues gain the pairs.
pub fn step(
    model: &dyn EncoderDecoderMixture,
    (vars, states): (&BTreeMap<String, Var>, &BTreeMap<String, Var>),
    queues: &mut Queues,
    (visual, texts): (&VisualInput, &[Vec<u32>]),
    choice: NegativeChoice,
    settings: MomentumSettings,
) -> Result<Losses, ModelError> {
    let sides = (model as &dyn MomentumContrast, model.student(), model.teacher());
    let batch = (visual, texts);
    let compared = compare(sides, (vars, states), queues, batch, choice, (settings, FLOOR))?;
    Ok(Losses {
        matching: matching(model, texts, &compared.student, &compared.negatives)?,
        language: language(model, texts, &compared.student)?,
        contrast: compared.contrast,
        picture_weights: compared.picture_weights,
        text_weights: compared.text_weights,
        negatives: compared.negatives,
    })
}

/// Every text with its picture, every text with a negative picture, every picture with a negative text.
fn matching(
    model: &dyn EncoderDecoderMixture,
    texts: &[Vec<u32>],
    student: &Side,
    negatives: &Negatives,
) -> Result<Tensor, ModelError> {
    let (own, seen) = (borrowed(texts), &student.pictures);
    if let Some(other) = negatives.texts.iter().find(|i| **i >= own.len()) {
        let expected = format!("a text below {}", own.len());
        return Err(ModelError::input("a negative", expected, other));
    }
    let negative_texts: Vec<&[u32]> = negatives.texts.iter().map(|i| own[*i]).collect();
    let pictures = seen.and(&seen.pick(&negatives.pictures)?)?.and(seen)?;
    positives_first(&model.matching_logits(&[&own[..], &own, &negative_texts].concat(), &pictures)?)
}

/// Every word of every text from those before it; the first token is told.
fn language(
    model: &dyn EncoderDecoderMixture,
    texts: &[Vec<u32>],
    student: &Side,
) -> Result<Tensor, ModelError> {
    let next = |text: &Vec<u32>| [text.get(1..).unwrap_or(&[]), &[IGNORE]].concat();
    let targets: Arc<[u32]> = texts.iter().flat_map(next).collect();
    if targets.iter().all(|t| *t == IGNORE) {
        return Err(ModelError::input(
            "texts",
            "a word behind the first token of one",
            "none",
        ));
    }
    let logits = model.next_token_logits(&borrowed(texts), &student.pictures)?;
    Ok(smoothed_cross_entropy(&logits, &targets, SMOOTHING)?)
}
