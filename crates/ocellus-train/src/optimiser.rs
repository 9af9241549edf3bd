//! AdamW (Loshchilov and Hutter 2019) with clipping by the global norm, and a moving average of the weights.

use candle_core::{CpuStorage, InplaceOp1, Layout, Tensor, Var};
use ocellus_kernels::adam;
use rayon::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Names of variables that are gone when the model is used.
pub(crate) const AUXILIARY: &str = "auxiliary.";

/// The hyper-parameters of one step.
#[derive(Clone, Copy, Debug)]
pub struct Hyper {
    pub learning_rate: f32,
    pub betas: [f32; 2],
    pub eps: f32,
    /// Applied to matrices, not to vectors (biases and norms).
    pub weight_decay: f32,
    /// Gradients are scaled down to this global norm.
    pub clip_norm: f32,
    /// `None` = no average is kept up.
    pub ema: Option<f32>,
}

/// A variable with its state, all of one length.
pub struct ParameterState {
    pub name: String,
    pub var: Var,
    pub first_moment: Vec<f32>,
    pub second_moment: Vec<f32>,
    pub average: Vec<f32>,
}

/// The optimiser's state over a model's variables, in the order of their names.
pub struct AdamW {
    pub slots: Vec<ParameterState>,
    /// Steps taken.
    pub steps: u64,
}

impl AdamW {
    pub fn new(vars: BTreeMap<String, Var>) -> Result<Self, candle_core::Error> {
        let slots = vars
            .into_iter()
            .map(|(name, var)| {
                let average = var.as_tensor().flatten_all()?.to_vec1::<f32>()?;
                let zeros = vec![0.0; average.len()];
                Ok(ParameterState {
                    name,
                    var,
                    first_moment: zeros.clone(),
                    second_moment: zeros,
                    average,
                })
            })
            .collect::<Result<_, candle_core::Error>>()?;
        Ok(Self { slots, steps: 0 })
    }

    /// One step with `gradients`, one per slot, each to be multiplied by `scale`; returns the global norm before clipping.
    pub fn step(
        &mut self,
        gradients: &[Vec<f32>],
        scale: f32,
        hyper: &Hyper,
    ) -> Result<f64, candle_core::Error> {
        let squares: f64 = gradients.iter().map(|g| adam::sum_of_squares(g)).sum();
        let norm = squares.sqrt() * f64::from(scale);
        let clip = (f64::from(hyper.clip_norm) / (norm + 1e-6)).min(1.0) as f32;
        self.steps += 1;
        self.slots
            .par_iter_mut()
            .zip(gradients)
            .try_for_each(|(slot, gradient)| {
                let decay = if slot.var.as_tensor().rank() > 1 {
                    hyper.weight_decay
                } else {
                    0.0
                };
                let settings = adam::AdamW {
                    learning_rate: hyper.learning_rate,
                    beta1: hyper.betas[0],
                    beta2: hyper.betas[1],
                    eps: hyper.eps,
                    weight_decay: decay,
                    grad_scale: scale * clip,
                    step: self.steps,
                };
                let op = Update(RefCell::new((
                    slot.first_moment.as_mut(),
                    slot.second_moment.as_mut(),
                    gradient,
                    settings,
                )));
                slot.var.as_tensor().inplace_op1(&op)?;
                if let Some(keep) = hyper.ema {
                    average(&mut slot.average, slot.var.as_tensor(), keep)?;
                }
                Ok::<(), candle_core::Error>(())
            })?;
        Ok(norm)
    }
}

fn average(average: &mut [f32], weights: &Tensor, keep: f32) -> Result<(), candle_core::Error> {
    let (storage, layout) = weights.storage_and_layout();
    if let candle_core::Storage::Cpu(storage) = &*storage {
        let weights = &storage.as_slice::<f32>()?[layout.start_offset()..];
        average
            .iter_mut()
            .zip(weights)
            .for_each(|(a, w)| *a += (w - *a) * (1.0 - keep));
    }
    Ok(())
}

type State<'a> = (&'a mut [f32], &'a mut [f32], &'a [f32], adam::AdamW);

/// Changes a variable's storage where it lies.
struct Update<'a>(RefCell<State<'a>>);

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let CpuStorage::F32(weights) = storage else {
            candle_core::bail!("variables are trained in f32");
        };
        let weights = &mut weights[layout.start_offset()..][..layout.shape().elem_count()];
        let (first, second, gradient, settings) = &mut *self.0.borrow_mut();
        adam::adamw_step(settings, weights, gradient, first, second);
        Ok(())
    }
}
