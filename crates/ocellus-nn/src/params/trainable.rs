//! Tensors for training.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Device, Tensor, Var};
use ocellus_weights::Weights;

use super::read::{finish, read, read_integers};
use crate::load_error::LoadError;
use crate::source::Source;

/// Trainable variables in f32 on one device, from a checkpoint or from random initialisation.
pub struct Trainable {
    device: Device,
    start: Start,
    /// Whether the tensor with a name gets gradients; otherwise it is no variable.
    trains: fn(&str) -> bool,
    fixed: RefCell<BTreeMap<String, Tensor>>,
    vars: RefCell<BTreeMap<String, Var>>,
    states: RefCell<BTreeMap<String, Var>>,
    counters: RefCell<BTreeSet<String>>,
}

enum Start {
    From(Weights),
    Random { seed: u64, std: f32 },
}

impl Trainable {
    /// Starts from the tensors of a checkpoint.
    pub fn from_weights(weights: Weights, device: Device) -> Self {
        Self::starting(Start::From(weights), device)
    }

    fn starting(start: Start, device: Device) -> Self {
        Self {
            device,
            start,
            trains: |_| true,
            fixed: RefCell::default(),
            vars: RefCell::default(),
            states: RefCell::default(),
            counters: RefCell::default(),
        }
    }

    /// Random initialisation: matrices normal with deviation `std`, vectors zero, `*norm*`/`ln*` weights one. The values of a
    /// tensor depend only on `seed` and its name.
    pub fn random(seed: u64, std: f32, device: Device) -> Self {
        Self::starting(Start::Random { seed, std }, device)
    }

    /// The same source with only the tensors for which `trains` returns true as variables; the others stay frozen.
    pub fn only(self, trains: fn(&str) -> bool) -> Self {
        Self { trains, ..self }
    }

    /// All frozen tensors that were asked for, by name.
    pub fn fixed(&self) -> BTreeMap<String, Tensor> {
        self.fixed.borrow().clone()
    }

    /// All variables that were asked for, by name.
    pub fn vars(&self) -> BTreeMap<String, Var> {
        self.vars.borrow().clone()
    }

    /// All states that were asked for, by name.
    pub fn states(&self) -> BTreeMap<String, Var> {
        self.states.borrow().clone()
    }

    /// As [`Frozen::finish`](super::Frozen::finish); always succeeds for random initialisation.
    pub fn finish(&self, ignored: impl Fn(&str) -> bool) -> Result<(), LoadError> {
        match &self.start {
            Start::From(weights) => {
                let (vars, states) = (self.vars.borrow(), self.states.borrow());
                let mut taken: BTreeSet<String> = vars.keys().chain(states.keys()).cloned().collect();
                taken.extend(self.fixed.borrow().keys().cloned());
                taken.extend(self.counters.borrow().iter().cloned());
                finish(weights, &taken, ignored)
            }
            Start::Random { .. } => Ok(()),
        }
    }
}

impl Trainable {
    /// The initial value of the tensor `name`.
    fn start(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        match &self.start {
            Start::From(weights) if weights.is_quantised(name) => Err(LoadError::Quantised),
            Start::From(weights) => read(weights, name, shape, &self.device),
            Start::Random { seed, std } => Ok(Tensor::from_vec(
                draw(*seed, name, shape, *std),
                shape,
                &self.device,
            )?),
        }
    }

    /// The variable `name` in `kept`, created on first use.
    fn variable(
        &self,
        kept: &RefCell<BTreeMap<String, Var>>,
        name: &str,
        shape: &[usize],
    ) -> Result<Tensor, LoadError> {
        if let Some(var) = kept.borrow().get(name) {
            return Ok(var.as_tensor().clone());
        }
        let var = Var::from_tensor(&self.start(name, shape)?)?;
        kept.borrow_mut().insert(name.to_owned(), var.clone());
        Ok(var.as_tensor().clone())
    }
}

impl Source for Trainable {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        if (self.trains)(name) {
            return self.variable(&self.vars, name, shape);
        }
        if let Some(fixed) = self.fixed.borrow().get(name) {
            return Ok(fixed.clone());
        }
        let fixed = self.start(name, shape)?;
        self.fixed.borrow_mut().insert(name.to_owned(), fixed.clone());
        Ok(fixed)
    }

    fn state(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        self.variable(&self.states, name, shape)
    }

    fn integers(&self, name: &str, count: usize) -> Result<Vec<i64>, LoadError> {
        let values = match &self.start {
            Start::From(weights) => read_integers(weights, name, count)?,
            Start::Random { .. } => vec![0; count],
        };
        self.counters.borrow_mut().insert(name.to_owned());
        Ok(values)
    }

    fn contains(&self, name: &str) -> bool {
        match &self.start {
            Start::From(weights) => weights.contains(name),
            Start::Random { .. } => false,
        }
    }

    fn trainable(&self) -> bool {
        true
    }
}

fn draw(seed: u64, name: &str, shape: &[usize], std: f32) -> Vec<f32> {
    let count = shape.iter().product();
    if shape.len() == 1 {
        let one = name.ends_with("weight");
        return vec![if one { 1.0 } else { 0.0 }; count];
    }
    // FNV-1a of the name, then splitmix64: an independent random stream for each tensor.
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count)
        .map(|_| {
            // Box-Muller; 1 - u keeps the logarithm finite.
            let (u, v) = (1.0 - uniform(), uniform());
            ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32 * std
        })
        .collect()
}
