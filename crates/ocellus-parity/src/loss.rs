//! Task `loss`: the loss of packed samples, its gradients, and a few steps of the optimiser.

use std::rc::Rc;

use candle_core::{Device, Tensor};
use ocellus_models::{Facts, Generator, Grid, Objective, Vlm};
use ocellus_nn::ops::loss::IGNORE;
use ocellus_nn::{Taps, Trainable};
use ocellus_train::losses::language::{self, Sequence, language};
use ocellus_train::optimiser::{AdamW, Hyper, ParameterState};
use serde_json::Value;

use crate::array::Array;
use crate::case::Case;
use crate::error::CaseError;
use crate::gradients::{put_gradients, shapes};
use crate::produced::Produced;
use crate::rows::{Pictures, Rows};
use crate::{checkpoint, momentum};

pub fn run(case: &Case, out: &mut Produced) -> Result<(), CaseError> {
    if momentum::fits(case) {
        let (learner, source) = checkpoint::learner(case)?;
        let facts = learner.model().facts();
        let Objective::MomentumDistillation(model) = learner.objective() else {
            return Err(momentum::none(facts.family));
        };
        return momentum::run(case, (model, facts.patch_size), &source, out);
    }
    let (model, source) = checkpoint::trainable(case)?;
    let model = Generator::new(model)?;
    let packed = Packed::read(case, model.vlm().facts(), out)?;
    match case.options.get("kind").and_then(Value::as_str) {
        Some("gradients") => gradients(case, model.vlm(), &source, &packed, out),
        Some("curve") => curve(case, model.vlm(), &source, &packed, out),
        _ => Err(case.wrong_option("kind", "gradients or curve")),
    }
}

/// The loss, the norm of every gradient and of all together, whole gradients where the case has them.
fn gradients(
    case: &Case,
    model: &dyn Vlm,
    source: &Rc<Trainable>,
    packed: &Packed,
    out: &mut Produced,
) -> Result<(), CaseError> {
    let slots = AdamW::new(source.vars())?.slots;
    let (loss, gradients) = packed.gradients(model, &slots)?;
    out.put("loss", Array::floats([], vec![packed.mean(loss)]));
    let mean = |gradient: Vec<f32>| gradient.into_iter().map(|g| packed.mean(g)).collect();
    let named = slots.iter().map(|slot| slot.name.clone());
    put_gradients(case, named.zip(gradients.into_iter().map(mean)).collect(), out)
}

/// The loss before every step and after the last, gradient norms before clipping, the weights at the end.
fn curve(
    case: &Case,
    model: &dyn Vlm,
    source: &Rc<Trainable>,
    packed: &Packed,
    out: &mut Produced,
) -> Result<(), CaseError> {
    let schedule = schedule(case)?;
    let mut optimiser = AdamW::new(source.vars())?;
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    for hyper in &schedule {
        let (loss, gradients) = packed.gradients(model, &optimiser.slots)?;
        losses.push(packed.mean(loss));
        norms.push(optimiser.step(&gradients, packed.mean(1.0), hyper)? as f32);
    }
    losses.push(packed.mean(packed.loss(model)?.to_scalar::<f32>()?));
    out.put("losses", Array::floats([losses.len()], losses));
    out.put("grad_norms", Array::floats([norms.len()], norms));
    let shapes = shapes(case)?;
    for slot in &optimiser.slots {
        let values = slot.var.as_tensor().flatten_all()?.to_vec1::<f32>()?;
        let shape = shapes.get(&slot.name).cloned().unwrap_or_default();
        out.put(
            format!("weight_after/{}", slot.name),
            Array::floats(shape, values),
        );
    }
    Ok(())
}

/// The hyper-parameters of every step, from `options.optimizer`.
fn schedule(case: &Case) -> Result<Vec<Hyper>, CaseError> {
    let wrong = || case.wrong_option("optimizer", "steps, lr, betas, eps, weight_decay, max_grad_norm");
    let optimizer = case.option("optimizer", "hyper-parameters")?;
    let number = |value: Option<&Value>| value.and_then(Value::as_f64).map(|v| v as f32);
    let list = |name: &str| {
        let values = optimizer.get(name)?.as_array()?;
        values
            .iter()
            .map(|v| number(Some(v)))
            .collect::<Option<Vec<f32>>>()
    };
    let steps = optimizer
        .get("steps")
        .and_then(Value::as_u64)
        .filter(|s| *s < 10_000)
        .ok_or_else(wrong)? as usize;
    let rates = match (list("lr_per_step"), number(optimizer.get("lr"))) {
        (Some(rates), _) => rates,
        (None, Some(rate)) => vec![rate; steps],
        (None, None) => return Err(wrong()),
    };
    let betas: [f32; 2] = list("betas").and_then(|b| b.try_into().ok()).ok_or_else(wrong)?;
    let clip_norm = match optimizer.get("max_grad_norm") {
        None | Some(Value::Null) => f32::INFINITY,
        norm => number(norm).ok_or_else(wrong)?,
    };
    let (eps, decay) = (
        number(optimizer.get("eps")),
        number(optimizer.get("weight_decay")),
    );
    let (eps, weight_decay) = (eps.ok_or_else(wrong)?, decay.ok_or_else(wrong)?);
    if rates.len() != steps {
        return Err(wrong());
    }
    let hyper = |learning_rate| Hyper {
        learning_rate,
        betas,
        eps,
        weight_decay,
        clip_norm,
        ema: None,
    };
    Ok(rates.into_iter().map(hyper).collect())
}

/// All patches of one kind of picture with the grids that they form.
struct Patches {
    rows: Tensor,
    grids: Vec<Grid>,
}

impl Patches {
    fn read(case: &Case, name: &str, pictures: &Pictures) -> Result<Option<Self>, CaseError> {
        if pictures.visions.is_empty() {
            return Ok(None);
        }
        let (shape, values) = case.floats(name, 2)?;
        Ok(Some(Self {
            rows: Tensor::from_vec(values, shape, &Device::Cpu)?,
            grids: pictures.grids(),
        }))
    }

    fn lent(&self) -> language::Pictures<'_> {
        language::Pictures {
            patches: &self.rows,
            grids: &self.grids,
        }
    }
}

/// All samples of a case in one packed sequence.
struct Packed {
    images: Option<Patches>,
    videos: Option<Patches>,
    ids: Vec<u32>,
    positions: Vec<[i64; 3]>,
    lengths: Vec<usize>,
    targets: Vec<u32>,
}

impl Packed {
    /// Puts the positions by the rule of the case, also where the case gives the positions to train with.
    fn read(case: &Case, facts: &Facts, out: &mut Produced) -> Result<Self, CaseError> {
        let rows = Rows::read(case, facts)?;
        let lengths = lengths(case, &rows)?;
        let (shape, labels) = case.integers("labels", 2)?;
        if labels.len() != rows.padded.len() {
            return Err(case.wrong_input("labels", "one a token", format!("{shape:?}")));
        }
        if case.stage("position_ids").is_some() {
            let by_rule = rows.sample_positions(case, facts, &lengths)?;
            out.put("position_ids", rows.unpack_positions(&by_rule));
        }
        let labels: Vec<i64> = rows.places().map(|place| labels[place]).collect();
        Ok(Self {
            images: Patches::read(case, "pixel_values", &rows.images)?,
            videos: Patches::read(case, "pixel_values_videos", &rows.videos)?,
            ids: rows.rows.iter().flat_map(|r| r.ids.iter().copied()).collect(),
            positions: positions(case, facts, &rows, &lengths)?,
            targets: targets(case, &labels, &lengths)?,
            lengths,
        })
    }

    /// The summed loss, as a node of the graph.
    fn loss(&self, model: &dyn Vlm) -> Result<Tensor, CaseError> {
        let sequence = Sequence {
            images: self.images.as_ref().map(Patches::lent),
            videos: self.videos.as_ref().map(Patches::lent),
            ids: &self.ids,
            positions: &self.positions,
            lengths: &self.lengths,
        };
        Ok(language(model, &sequence, &self.targets, &mut Taps::none())?)
    }

    /// The summed loss and its gradient for every parameter; zeros where the loss does not depend on it.
    fn gradients(
        &self,
        model: &dyn Vlm,
        slots: &[ParameterState],
    ) -> Result<(f32, Vec<Vec<f32>>), CaseError> {
        let loss = self.loss(model)?;
        let store = loss.backward()?;
        let gradient = |slot: &ParameterState| match store.get(slot.var.as_tensor()) {
            Some(gradient) => gradient.flatten_all()?.to_vec1::<f32>(),
            None => Ok(vec![0.0; slot.var.as_tensor().elem_count()]),
        };
        let gradients = slots.iter().map(gradient).collect::<Result<_, _>>()?;
        Ok((loss.to_scalar::<f32>()?, gradients))
    }

    /// A sum over targets as their mean.
    fn mean(&self, sum: f32) -> f32 {
        sum / self.targets.iter().filter(|t| **t != IGNORE).count().max(1) as f32
    }
}

/// The lengths of the samples: given for a packed row, else a row is a sample.
fn lengths(case: &Case, rows: &Rows) -> Result<Vec<usize>, CaseError> {
    if !case.has_input("sample_lengths") {
        return Ok(rows.rows.iter().map(|r| r.ids.len()).collect());
    }
    let (_, lengths) = case.integers("sample_lengths", 1)?;
    let total: usize = rows.rows.iter().map(|r| r.ids.len()).sum();
    let lengths: Option<Vec<usize>> = lengths.iter().map(|l| usize::try_from(*l).ok()).collect();
    lengths
        .filter(|l| l.iter().try_fold(0usize, |sum, n| sum.checked_add(*n)) == Some(total))
        .ok_or_else(|| {
            case.wrong_input(
                "sample_lengths",
                format!("lengths that add up to {total}"),
                "others",
            )
        })
}

/// `position_ids` `[3, batch, length]` of the real tokens, else the positions by the rule of the case.
fn positions(case: &Case, facts: &Facts, rows: &Rows, lengths: &[usize]) -> Result<Vec<[i64; 3]>, CaseError> {
    if !case.has_input("position_ids") {
        return rows.sample_positions(case, facts, lengths);
    }
    let (shape, values) = case.integers("position_ids", 3)?;
    if shape != [3, rows.rows.len(), rows.length] {
        return Err(case.wrong_input("position_ids", "[3, batch, length]", format!("{shape:?}")));
    }
    let plane = rows.padded.len();
    let at = |place: usize| [0, 1, 2].map(|axis| values[axis * plane + place]);
    Ok(rows.places().map(at).collect())
}

/// What each token is to be followed by: labels shifted by one inside a sample, negative ones left out.
fn targets(case: &Case, labels: &[i64], lengths: &[usize]) -> Result<Vec<u32>, CaseError> {
    let (mut targets, mut start) = (Vec::with_capacity(labels.len()), 0);
    for &length in lengths {
        let sample = &labels[start..start + length];
        for label in sample.iter().skip(1) {
            let id = if *label < 0 {
                Some(IGNORE)
            } else {
                u32::try_from(*label).ok()
            };
            targets.push(id.ok_or_else(|| case.wrong_input("labels", "token ids", label))?);
        }
        targets.extend(sample.last().map(|_| IGNORE));
        start += length;
    }
    Ok(targets)
}
