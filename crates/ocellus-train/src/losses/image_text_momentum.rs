//! Contrast, matching and masked words with a momentum teacher (Li et al. 2021, section 3).
//!
//! The order of a step: the temperature is brought into its range, the student looks and reads, the teacher takes a step after
//! the student, looks and reads, similarities to its features and to those in the queues are graded against softened targets, its
//! features enter the queues, the hardest looking strangers are told from partners, and masked words are guessed with the
//! teacher's guesses beside the truth.

use candle_core::{Tensor, Var};
use ocellus_models::{Fusion, ModelError, Momentum, Queues, Sight, States};
use ocellus_nn::losses::soft_targets::{probabilities, soft_cross_entropy, softened};
use ocellus_nn::ops::loss::{IGNORE, cross_entropy};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The range in which the temperature is kept.
const TEMPERATURES: (f32, f32) = (0.001, 0.5);

/// How a step is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Share of the teacher's opinion in the targets.
    pub alpha: f64,
    /// Share that the teacher keeps of itself.
    pub momentum: f64,
}

/// Pictures and texts that belong together.
pub struct Pairs<'a> {
    pub sight: &'a Sight,
    pub texts: &'a [Vec<u32>],
    /// The texts with words masked.
    pub masked: &'a [Vec<u32>],
    /// For every token of the masked texts, packed: the word that was there, or [`IGNORE`].
    pub hidden: &'a [u32],
}

/// Who is shown beside a stranger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strangers {
    /// A picture for each text.
    pub pictures: Vec<usize>,
    /// A text for each picture.
    pub texts: Vec<usize>,
}

/// Where strangers come from.
pub enum Choice<'a> {
    Given(Strangers),
    /// Drawn by their weights with numbers from 0 to 1, 1 excluded.
    Drawn(&'a mut dyn FnMut() -> f64),
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
    pub strangers: Strangers,
}

impl Losses {
    /// All of them, equally weighted.
    pub fn total(&self) -> Result<Tensor, ModelError> {
        Ok(((&self.words + &self.contrast)? + &self.matching)?)
    }
}

/// Moves every teacher's tensor towards the student's: `teacher · momentum + student · (1 - momentum)`. With a momentum of 0 the
/// teacher becomes a copy, as it is at the start.
pub fn follow(
    model: &dyn Momentum,
    vars: &BTreeMap<String, Var>,
    states: &BTreeMap<String, Var>,
    momentum: f64,
) -> Result<(), ModelError> {
    for (name, student) in vars {
        let teacher = model.follower(name).and_then(|name| states.get(&name));
        if let Some(teacher) = teacher {
            let student = (student.as_tensor().detach() * (1.0 - momentum))?;
            teacher.set(&((teacher.as_tensor().detach() * momentum)? + student)?)?;
        }
    }
    Ok(())
}

/// One step up to the losses: what remains is to go backwards from their [`total`](Losses::total). `vars` and `states` are the
/// student's and the teacher's tensors by name; the queues gain the pairs.
pub fn step(
    model: &dyn Momentum,
    (vars, states): (&BTreeMap<String, Var>, &BTreeMap<String, Var>),
    queues: &mut Queues,
    pairs: &Pairs,
    choice: Choice,
    setting: Setting,
) -> Result<Losses, ModelError> {
    let temperature = clamped(model.temperature())?;
    let student = Side::of(model.student(), pairs)?;
    follow(model, vars, states, setting.momentum)?;
    let teacher = Side::of(model.teacher(), pairs)?.detached();

    let (contrast, [to_texts, to_pictures]) =
        contrast(&student, &teacher, queues, &temperature, setting.alpha)?;
    enqueue(queues, &teacher)?;

    let count = pairs.texts.len();
    let (text_weights, picture_weights) = (weights(&to_texts, count)?, weights(&to_pictures, count)?);
    let strangers = match choice {
        Choice::Given(strangers) => strangers,
        Choice::Drawn(uniform) => Strangers {
            pictures: draw(&picture_weights, uniform)?,
            texts: draw(&text_weights, uniform)?,
        },
    };
    Ok(Losses {
        matching: matching(model, &student, &strangers)?,
        words: words(model, pairs, &student, &teacher, setting.alpha)?,
        contrast,
        picture_weights,
        text_weights,
        strangers,
    })
}

/// The temperature, brought into its range where it lies.
fn clamped(temperature: &Tensor) -> Result<Tensor, ModelError> {
    let (low, high) = TEMPERATURES;
    if temperature.is_variable() {
        Var::from_tensor(temperature)?.set(&temperature.detach().clamp(low, high)?)?;
    }
    Ok(temperature.clone())
}

/// What one of the two makes of the pairs.
struct Side {
    pictures: States,
    texts: States,
    /// `[pairs, features]`.
    picture_features: Tensor,
    text_features: Tensor,
}

impl Side {
    fn of(model: &dyn Fusion, pairs: &Pairs) -> Result<Self, ModelError> {
        let (pictures, texts) = (model.pictures(pairs.sight)?, model.texts(&borrowed(pairs.texts))?);
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

fn borrowed(texts: &[Vec<u32>]) -> Vec<&[u32]> {
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

/// How strange partners are drawn: by their likelihood among the batch, oneself excluded.
fn weights(similarity: &Tensor, count: usize) -> Result<Tensor, ModelError> {
    let likely = probabilities(&similarity.narrow(1, 0, count)?.contiguous()?)?;
    let other = |i: usize| if i.is_multiple_of(count + 1) { 0f32 } else { 1.0 };
    let others = Tensor::from_iter((0..count * count).map(other), likely.device())?;
    Ok((likely * others.reshape((count, count))?)?)
}

/// One of each row by its weights. Rows without any weight give the first that is not their own.
fn draw(weights: &Tensor, uniform: &mut dyn FnMut() -> f64) -> Result<Vec<usize>, ModelError> {
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

/// Partners against strangers: every text with its picture, every text with a strange picture, every picture with a strange text.
fn matching(model: &dyn Momentum, student: &Side, strangers: &Strangers) -> Result<Tensor, ModelError> {
    let count = student.texts.lengths.len();
    if strangers.pictures.len() != count || strangers.texts.len() != count {
        let found = format!("{} and {}", strangers.pictures.len(), strangers.texts.len());
        return Err(ModelError::input("strangers", format!("{count} of each"), found));
    }
    let (texts, pictures) = (&student.texts, &student.pictures);
    let texts = texts.and(texts)?.and(&texts.pick(&strangers.texts)?)?;
    let pictures = pictures
        .and(&pictures.pick(&strangers.pictures)?)?
        .and(pictures)?;
    let logits = model.matches(&model.student().fuse(&texts, &pictures)?)?;
    let targets: Arc<[u32]> = (0..3 * count).map(|i| u32::from(i < count)).collect();
    Ok((cross_entropy(&logits, &targets)? / (3 * count) as f64)?)
}

/// Masked words: the truth, and with weight `alpha` what the teacher guesses instead.
fn words(
    model: &dyn Momentum,
    pairs: &Pairs,
    student: &Side,
    teacher: &Side,
    alpha: f64,
) -> Result<Tensor, ModelError> {
    let guess = |model: &dyn Fusion, pictures: &States, rows: &Tensor| -> Result<Tensor, ModelError> {
        let fused = model.fuse(&model.texts(&borrowed(pairs.masked))?, pictures)?;
        if fused.rows.dim(0)? != pairs.hidden.len() {
            let found = pairs.hidden.len();
            return Err(ModelError::input("hidden words", fused.rows.dim(0)?, found));
        }
        model.words(&States {
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
