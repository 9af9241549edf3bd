//! Image-text contrast, image-text matching and masked language modelling with an EMA teacher (Li et al. 2021, section 3).
//!
//! The order of a step: the temperature is clamped; the student encodes the batch; the teacher is updated from the student and
//! encodes it too; similarities to the teacher's features and to those in the queues are compared with softened targets; the
//! teacher's features enter the queues; pairs are matched against hard negatives; masked tokens are predicted, with the teacher's
//! predictions beside the labels.

use candle_core::{Tensor, Var};
use ocellus_models::learner::momentum_contrast::{MomentumContrast, Queues};
use ocellus_models::learner::momentum_distillation::MomentumDistillation;
use ocellus_models::{DualEncoder, FusionEncoder, ModelError, States, VisualInput};
use ocellus_nn::losses::soft_targets::{probabilities, soft_cross_entropy};
use ocellus_nn::ops::loss::{IGNORE, cross_entropy};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use super::momentum_contrast::{MomentumSettings, NegativeChoice, Negatives, ema_update};
use super::momentum_contrast::{Side, borrowed, compare, positives_first};

/// Pictures and texts that belong together.
pub struct Pairs<'a> {
    pub visual: &'a VisualInput,
    pub texts: &'a [Vec<u32>],
    /// The texts with words masked.
    pub masked: &'a [Vec<u32>],
    /// For every token of the masked texts, packed: the word that was there, or [`IGNORE`].
    pub hidden: &'a [u32],
}

/// What a step computed. The losses are nodes of the graph.
pub struct Losses {
    pub words: Tensor,
    pub contrast: Tensor,
    pub matching: Tensor,
    /// Row `i`: how likely each picture is drawn beside text `i`, up to a factor; `[pairs, pairs]`.
    pub picture_weights: Tensor,
    /// Row `i`: the same of each text beside picture `i`.
    pub text_weights: Tensor,
    pub negatives: Negatives,
}

impl Losses {
    /// All of them, equally weighted.
    pub fn total(&self) -> Result<Tensor, ModelError> {
        Ok(((&self.words + &self.contrast)? + &self.matching)?)
    }
}

/// One step up to the losses: what remains is to go backwards from their [`total`](Losses::total). `vars` and `states` are the
/// student's and the teacher's tensors by name; the queues gain the pairs.
pub fn step(
    model: &dyn MomentumDistillation,
    (vars, states): (&BTreeMap<String, Var>, &BTreeMap<String, Var>),
    queues: &mut Queues,
    pairs: &Pairs,
    choice: NegativeChoice,
    settings: MomentumSettings,
) -> Result<Losses, ModelError> {
    let sides = (
        model as &dyn MomentumContrast,
        towers(model.student()),
        towers(model.teacher()),
    );
    let batch = (pairs.visual, pairs.texts);
    let compared = compare(sides, (vars, states), queues, batch, choice, (settings, 0.0))?;
    let (student, teacher) = (&compared.student, &compared.teacher);
    Ok(Losses {
        matching: matching(model, student, &compared.negatives)?,
        words: words(model, pairs, student, teacher, settings.alpha)?,
        contrast: compared.contrast,
        picture_weights: compared.picture_weights,
        text_weights: compared.text_weights,
        negatives: compared.negatives,
    })
}

fn towers(model: &dyn FusionEncoder) -> &dyn DualEncoder {
    model
}

/// Pairs against negatives: every text with its picture, every text with a negative picture, every picture with a negative text.
fn matching(
    model: &dyn MomentumDistillation,
    student: &Side,
    negatives: &Negatives,
) -> Result<Tensor, ModelError> {
    let (texts, pictures) = (&student.texts, &student.pictures);
    let texts = texts.and(texts)?.and(&texts.pick(&negatives.texts)?)?;
    let pictures = pictures
        .and(&pictures.pick(&negatives.pictures)?)?
        .and(pictures)?;
    positives_first(&model.matching_logits(&model.student().fuse(&texts, &pictures)?)?)
}

/// Masked language modelling against the labels, and with weight `alpha` against the teacher's predictions.
fn words(
    model: &dyn MomentumDistillation,
    pairs: &Pairs,
    student: &Side,
    teacher: &Side,
    alpha: f64,
) -> Result<Tensor, ModelError> {
    let guess = |model: &dyn FusionEncoder, pictures: &States, rows: &Tensor| -> Result<Tensor, ModelError> {
        let fused = model.fuse(&model.texts(&borrowed(pairs.masked))?, pictures)?;
        if fused.rows.dim(0)? != pairs.hidden.len() {
            let found = pairs.hidden.len();
            return Err(ModelError::input("hidden words", fused.rows.dim(0)?, found));
        }
        model.token_logits(&States {
            rows: fused.rows.index_select(rows, 0)?,
            lengths: vec![1; rows.dim(0)?],
        })
    };
    let (rows, truth): (Vec<u32>, Vec<u32>) = (0u32..)
        .zip(pairs.hidden)
        .filter(|(_, t)| **t != IGNORE)
        .map(|(i, t)| (i, *t))
        .unzip();
    let count = rows.len();
    if count == 0 {
        // Nothing was masked in this batch: nothing to learn from it.
        return Ok(student.texts.rows.zeros_like()?.sum_all()?);
    }
    let rows = Tensor::from_vec(rows, count, student.texts.rows.device())?;
    let opinion = probabilities(&guess(model.teacher(), &teacher.pictures, &rows)?)?;
    let logits = guess(model.student(), &student.pictures, &rows)?;
    let truth: Arc<[u32]> = truth.into();
    let hard = (cross_entropy(&logits, &truth)? * ((1.0 - alpha) / count as f64))?;
    Ok((hard + (soft_cross_entropy(&logits, &opinion)? * alpha)?)?)
}
