//! Tiny models with random weights, something to show them, and the check of their gradients.

use candle_core::{Device, Tensor, backprop::GradStore};
use ocellus_models::families::load_learner;
use ocellus_models::learner::encoder_decoder_mixture::EncoderDecoderMixture;
use ocellus_models::learner::modality_experts::ModalityExperts;
use ocellus_models::learner::single_stream::SingleStream;
use ocellus_models::{Grid, Learner, Model, Objective, Regions, VisualInput};
use ocellus_nn::ops::loss::IGNORE;
use ocellus_nn::{Params, Precision, Trainable};
use ocellus_testkit::Random;
use std::rc::Rc;

pub struct Tiny {
    pub learner: Box<dyn Learner>,
    pub source: Rc<Trainable>,
}

/// A model of this config, its matrices drawn at random and its vectors moved off their start.
pub fn tiny(config: serde_json::Value) -> Tiny {
    let source = Rc::new(Trainable::random(11, 0.25, Device::Cpu));
    let params = Params::new(source.clone(), Precision::F32);
    let learner = load_learner(&config.to_string(), &params)
        .unwrap()
        .expect("it has all that its objective needs");
    let mut random = Random::new(5);
    for var in source.vars().values() {
        let noise: Vec<f32> = (0..var.elem_count()).map(|_| random.range(-0.1, 0.1)).collect();
        let noise = Tensor::from_vec(noise, var.shape(), &Device::Cpu).unwrap();
        var.set(&(var.as_tensor().detach() + noise).unwrap()).unwrap();
    }
    Tiny { learner, source }
}

/// Pictures of these rows and columns of patches.
pub fn pictures(grids: &[(usize, usize)], features: usize, seed: u64) -> VisualInput {
    let patches = grids.iter().map(|(h, w)| h * w).sum();
    VisualInput::Pictures {
        patches: numbers(&[patches, features], seed),
        grids: grids.iter().map(|&(h, w)| Grid { t: 1, h, w }).collect(),
    }
}

/// Pictures of so many regions each.
pub fn regions(counts: &[usize], width: usize, seed: u64) -> VisualInput {
    let picture = |(i, count): (usize, &usize)| {
        let spread = |r: usize| [5.0 + 7.0 * r as f32, 4.0 * i as f32, 30.0 + 9.0 * r as f32, 40.0];
        Regions {
            features: numbers(&[*count, width], seed + i as u64),
            boxes: (0..*count).map(spread).collect(),
            width: 96.0,
            height: 64.0,
        }
    };
    VisualInput::Regions(counts.iter().enumerate().map(picture).collect())
}

/// Numbers from -1 to 1.
pub fn numbers(shape: &[usize], seed: u64) -> Tensor {
    let mut random = Random::new(seed);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| random.range(-1.0, 1.0))
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Rows of probabilities.
pub fn probabilities(rows: usize, classes: usize, seed: u64) -> Tensor {
    let weights = (numbers(&[rows, classes], seed) * 3.0).unwrap().exp().unwrap();
    weights.broadcast_div(&weights.sum_keepdim(1).unwrap()).unwrap()
}

/// The places and words of what is not [`IGNORE`].
pub fn masks(hidden: &[u32]) -> (Vec<u32>, Vec<usize>) {
    (0u32..)
        .zip(hidden)
        .filter(|(_, t)| **t != IGNORE)
        .map(|(i, t)| (i, *t as usize))
        .unzip()
}

pub fn slices<T>(lists: &[Vec<T>]) -> Vec<&[T]> {
    lists.iter().map(Vec::as_slice).collect()
}

pub fn rows(t: &Tensor, index: &[u32]) -> Tensor {
    let index = Tensor::from_slice(index, index.len(), &Device::Cpu).unwrap();
    t.index_select(&index, 0).unwrap()
}

#[track_caller]
pub fn close(what: &str, got: &Tensor, wanted: f64) {
    let got = f64::from(got.to_scalar::<f32>().unwrap());
    let error = (got - wanted).abs();
    assert!(
        error < 1e-5 * wanted.abs().max(1.0),
        "{what}: {got}, by hand {wanted}"
    );
}

impl Tiny {
    pub fn model(&self) -> &dyn Model {
        self.learner.model()
    }

    pub fn single_stream(&self) -> &dyn SingleStream {
        match self.learner.objective() {
            Objective::SingleStream(model) => model,
            _ => panic!("another objective"),
        }
    }

    pub fn modality_experts(&self) -> &dyn ModalityExperts {
        match self.learner.objective() {
            Objective::ModalityExperts(model) => model,
            _ => panic!("another objective"),
        }
    }

    pub fn encoder_decoder_mixture(&self) -> &dyn EncoderDecoderMixture {
        match self.learner.objective() {
            Objective::EncoderDecoderMixture(model) => model,
            _ => panic!("another objective"),
        }
    }

    /// The steepest component of each of these tensors against the central difference of `whole`.
    #[track_caller]
    pub fn assert_slopes(&self, grads: &GradStore, names: &[&str], mut whole: impl FnMut() -> f64) {
        const STEP: f32 = 4e-3;
        let vars = self.source.vars();
        for name in names {
            let Some(var) = vars.get(*name) else {
                panic!("no `{name}` among {:?}", vars.keys())
            };
            let grad = grads
                .get(var)
                .unwrap_or_else(|| panic!("no gradient for `{name}`"));
            let grad: Vec<f32> = grad.flatten_all().unwrap().to_vec1().unwrap();
            let steepest = (0..grad.len()).max_by(|a, b| grad[*a].abs().total_cmp(&grad[*b].abs()));
            let steepest = steepest.unwrap();
            let start: Vec<f32> = var.as_tensor().detach().flatten_all().unwrap().to_vec1().unwrap();
            let mut at = |x: f32| {
                let mut moved = start.clone();
                moved[steepest] = x;
                var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap())
                    .unwrap();
                whole()
            };
            let (low, high) = (start[steepest] - STEP, start[steepest] + STEP);
            let difference = (at(high) - at(low)) / (f64::from(high) - f64::from(low));
            at(start[steepest]);
            let gradient = f64::from(grad[steepest]);
            assert!(gradient.abs() > 5e-3, "`{name}` hardly matters: {gradient}");
            let error = (gradient - difference).abs();
            assert!(
                error < 5e-4 + 1e-2 * gradient.abs(),
                "`{name}` {steepest}: gradient {gradient}, central difference {difference}"
            );
        }
    }
}
