//! Momentum contrast over two towers (He et al. 2020; Li et al. 2021, section 3.2): the EMA update of the teacher, the contrast with
//! queues against softened targets, and the sampling of hard negatives.

use candle_core::{Tensor, Var};
use ocellus_models::learner::momentum_contrast::{MomentumContrast, Queues};
use ocellus_models::{DualEncoder, ModelError, States, VisualInput};
use ocellus_nn::losses::soft_targets::{probabilities, soft_cross_entropy, softened};
use ocellus_nn::ops::loss::cross_entropy;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The range in which the temperature is kept.
const TEMPERATURES: (f32, f32) = (0.001, 0.5);

/// How a step is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentumSettings {
    /// Weight of the teacher's predictions in the targets.
    pub alpha: f64,
    /// Weight of the teacher's old value in the EMA update.
    pub momentum: f64,
}

impl MomentumSettings {
    /// With the teacher's share grown from nothing to `alpha` over the first `ramp` steps.
    pub fn at(alpha: f64, momentum: f64, step: usize, ramp: usize) -> Self {
        let grown = match ramp {
            0 => 1.0,
            ramp => (step as f64 / ramp as f64).min(1.0),
        };
        Self {
            alpha: alpha * grown,
            momentum,
        }
    }
}

/// The negatives of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negatives {
    /// A negative picture for each text.
    pub pictures: Vec<usize>,
    /// A negative text for each picture.
    pub texts: Vec<usize>,
}

/// Where negatives come from.
pub enum NegativeChoice<'a> {
    Given(Negatives),
    /// Sampled by their weights, with numbers from 0 to 1, 1 excluded.
    Sampled(&'a mut dyn FnMut() -> f64),
}

/// Moves every teacher's tensor towards the student's: `teacher · momentum + student · (1 - momentum)`. With a momentum of 0 the
/// teacher becomes a copy, as it is at the start.
pub fn ema_update(
    model: &dyn MomentumContrast,
    vars: &BTreeMap<String, Var>,
    states: &BTreeMap<String, Var>,
    momentum: f64,
) -> Result<(), ModelError> {
    for (name, student) in vars {
        let teacher = model.teacher_tensor(name).and_then(|name| states.get(&name));
        if let Some(teacher) = teacher {
            let student = (student.as_tensor().detach() * (1.0 - momentum))?;
            teacher.set(&((teacher.as_tensor().detach() * momentum)? + student)?)?;
        }
    }
    Ok(())
}

/// Contrastive features and similarities of a batch, and its negatives.
pub(super) struct Compared {
    pub student: Side,
    pub teacher: Side,
    /// The mean of both directions.
    pub contrast: Tensor,
    /// For each text the pictures, for each picture the texts, `[pairs, pairs]`.
    pub picture_weights: Tensor,
    pub text_weights: Tensor,
    pub negatives: Negatives,
}

/// The towers, the teacher's EMA update, the contrast and the choice of negatives. `floor` is added to the likelihoods by which these are
/// drawn. The queues gain the pairs.
pub(super) fn compare(
    (model, student, teacher): (&dyn MomentumContrast, &dyn DualEncoder, &dyn DualEncoder),
    (vars, states): (&BTreeMap<String, Var>, &BTreeMap<String, Var>),
    queues: &mut Queues,
    (visual, texts): (&VisualInput, &[Vec<u32>]),
    choice: NegativeChoice,
    (settings, floor): (MomentumSettings, f64),
) -> Result<Compared, ModelError> {
    let temperature = clamped(model.temperature())?;
    let student = Side::of(student, visual, texts)?;
    ema_update(model, vars, states, settings.momentum)?;
    let teacher = Side::of(teacher, visual, texts)?.detached();
    let (contrast, [to_texts, to_pictures]) =
        contrast(&student, &teacher, queues, &temperature, settings.alpha)?;
    enqueue(queues, &teacher)?;

    let count = texts.len();
    let text_weights = weights(&to_texts, count, floor)?;
    let picture_weights = weights(&to_pictures, count, floor)?;
    let negatives = match choice {
        NegativeChoice::Given(negatives) => negatives,
        NegativeChoice::Sampled(uniform) => Negatives {
            pictures: draw(&picture_weights, uniform)?,
            texts: draw(&text_weights, uniform)?,
        },
    };
    if negatives.pictures.len() != count || negatives.texts.len() != count {
        let found = format!("{} and {}", negatives.pictures.len(), negatives.texts.len());
        return Err(ModelError::input("negatives", format!("{count} of each"), found));
    }
    Ok(Compared {
        student,
        teacher,
        contrast,
        picture_weights,
        text_weights,
        negatives,
    })
}

/// Mean cross-entropy of `logits [3 · pairs, 2]`: of the pairs, of texts with negative pictures, of pictures with negative texts.
pub(super) fn positives_first(logits: &Tensor) -> Result<Tensor, ModelError> {
    let all = logits.dim(0)?;
    let targets: Arc<[u32]> = (0..all).map(|i| u32::from(i < all / 3)).collect();
    Ok((cross_entropy(logits, &targets)? / all as f64)?)
}

/// The temperature, brought into its range where it lies.
fn clamped(temperature: &Tensor) -> Result<Tensor, ModelError> {
    let (low, high) = TEMPERATURES;
    if temperature.is_variable() {
        Var::from_tensor(temperature)?.set(&temperature.detach().clamp(low, high)?)?;
    }
    Ok(temperature.clone())
}

/// Features that one of the two models computes of the pairs.
pub(super) struct Side {
    pub pictures: States,
    pub texts: States,
    /// `[pairs, features]`.
    picture_features: Tensor,
    text_features: Tensor,
}

impl Side {
    fn of(model: &dyn DualEncoder, visual: &VisualInput, texts: &[Vec<u32>]) -> Result<Self, ModelError> {
        let (pictures, texts) = (model.pictures(visual)?, model.texts(&borrowed(texts))?);
        let found = (pictures.lengths.len(), texts.lengths.len());
        if found.0 != found.1 || found.0 < 2 {
            return Err(ModelError::input(
                "a batch of pairs",
                "as many texts as pictures, and two at least",
                format!("{} pictures and {} texts", found.0, found.1),
            ));
        }
        Ok(Self {
            picture_features: model.picture_features(&pictures)?,
            text_features: model.text_features(&texts)?,
            pictures,
            texts,
        })
    }

    fn detached(self) -> Self {
        let states = |states: States| States {
            rows: states.rows.detach(),
            ..states
        };
        Self {
            pictures: states(self.pictures),
            texts: states(self.texts),
            picture_features: self.picture_features.detach(),
            text_features: self.text_features.detach(),
        }
    }
}

pub(super) fn borrowed(texts: &[Vec<u32>]) -> Vec<&[u32]> {
    texts.iter().map(Vec::as_slice).collect()
}

/// The mean of both directions, and the student's similarities: pictures to texts, texts to pictures.
fn contrast(
    student: &Side,
    teacher: &Side,
    queues: &Queues,
    temperature: &Tensor,
    alpha: f64,
) -> Result<(Tensor, [Tensor; 2]), ModelError> {
    let all = |own: &Tensor, queue: &Tensor| Tensor::cat(&[own.t()?.contiguous()?, queue.detach()], 1);
    let texts = all(&teacher.text_features, &queues.texts)?; // [features, pairs + entries]
    let pictures = all(&teacher.picture_features, &queues.pictures)?;
    let own: Vec<u32> = (0..student.texts.lengths.len() as u32).collect();
    let one = |student: &Tensor, teacher: &Tensor, others: &Tensor| -> Result<_, ModelError> {
        let opinion = teacher.matmul(others)?.broadcast_div(&temperature.detach())?;
        let targets = softened(&probabilities(&opinion)?, &own, alpha)?;
        let similarity = student.matmul(others)?.broadcast_div(temperature)?;
        Ok((soft_cross_entropy(&similarity, &targets)?, similarity))
    };
    let (to_texts, a) = one(&student.picture_features, &teacher.picture_features, &texts)?;
    let (to_pictures, b) = one(&student.text_features, &teacher.text_features, &pictures)?;
    Ok((((to_texts + to_pictures)? * 0.5)?, [a, b]))
}

/// Writes the teacher's features over the oldest entries.
fn enqueue(queues: &mut Queues, teacher: &Side) -> Result<(), ModelError> {
    let (entries, count) = (queues.pictures.dim(1)?, teacher.picture_features.dim(0)?);
    if !entries.is_multiple_of(count) || queues.next + count > entries {
        let expected = format!("a multiple of the {count} pairs of a batch");
        return Err(ModelError::input(
            "a queue",
            expected,
            format!("{entries} entries"),
        ));
    }
    let next = queues.next;
    let write = |queue: &Tensor, features: &Tensor| -> Result<Tensor, ModelError> {
        let (before, after) = (queue.narrow(1, 0, next)?, next + count);
        let after = queue.narrow(1, after, entries - after)?;
        Ok(Tensor::cat(&[before, features.t()?, after], 1)?)
    };
    queues.pictures = write(&queues.pictures, &teacher.picture_features)?;
    queues.texts = write(&queues.texts, &teacher.text_features)?;
    queues.next = (next + count) % entries;
    Ok(())
}

/// How negatives are sampled: by their likelihood among the batch and at least by `floor` more, oneself excluded.
pub(super) fn weights(similarity: &Tensor, count: usize, floor: f64) -> Result<Tensor, ModelError> {
    let likely = probabilities(&similarity.narrow(1, 0, count)?.contiguous()?)?;
    let other = |i: usize| if i.is_multiple_of(count + 1) { 0f32 } else { 1.0 };
    let others = Tensor::from_iter((0..count * count).map(other), likely.device())?;
    Ok(((likely + floor)? * others.reshape((count, count))?)?)
}

/// Draws one column per row by the weights. A row without any weight gives the first column that is not its own.
pub(super) fn draw(weights: &Tensor, uniform: &mut dyn FnMut() -> f64) -> Result<Vec<usize>, ModelError> {
    let rows = weights.to_vec2::<f32>()?;
    let pick = |(own, row): (usize, &Vec<f32>)| {
        let mut left = uniform() * row.iter().map(|w| f64::from(*w)).sum::<f64>();
        let mut last = usize::from(own == 0);
        for (i, weight) in row.iter().enumerate().filter(|(_, w)| **w > 0.0) {
            last = i;
            left -= f64::from(*weight);
            if left < 0.0 {
                break;
            }
        }
        last
    };
    Ok(rows.iter().enumerate().map(pick).collect())
}
