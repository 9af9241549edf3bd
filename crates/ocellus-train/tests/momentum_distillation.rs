//! A step with an EMA teacher beyond the golden one: sampled negatives, queues that go round, teachers that follow, a start
//! from nothing.

use std::rc::Rc;

use candle_core::{Device, Tensor, Var};
use ocellus_models::families::load_learner;
use ocellus_models::learner::momentum_contrast::Queues;
use ocellus_models::learner::momentum_distillation::MomentumDistillation;
use ocellus_models::patches::patch_rows;
use ocellus_models::{Given, Learner, Objective, VisualInput};
use ocellus_nn::ops::loss::IGNORE;
use ocellus_nn::{Params, Precision, Trainable};
use ocellus_testkit::Case;
use ocellus_train::losses::momentum_distillation::{
    Losses, MomentumSettings, NegativeChoice, Negatives, Pairs, ema_update, step,
};
use ocellus_weights::Weights;

const CASE: &str = "albef-pretrain-step";
const SETTINGS: MomentumSettings = MomentumSettings {
    alpha: 0.4,
    momentum: 0.995,
};

struct Setup {
    source: Rc<Trainable>,
    learner: Box<dyn Learner>,
    visual: VisualInput,
    texts: Vec<Vec<u32>>,
    masked: Vec<Vec<u32>>,
    hidden: Vec<u32>,
}

impl Setup {
    fn new(source: Trainable) -> Self {
        let (case, source) = (Case::golden(CASE), Rc::new(source));
        let config = std::fs::read_to_string(case.model_dir().join("config.json")).unwrap();
        let params = Params::new(source.clone(), Precision::F32);
        let learner = load_learner(&config, &params).unwrap().expect("a teacher");
        let names = ["input_ids", "mlm_input_ids", "mlm_labels", "attention_mask"];
        let integers = |name: &str| {
            let input = case.input(name);
            (name.to_owned(), (input.shape.clone(), input.i64s().to_vec()))
        };
        let given = Given {
            integers: names.map(integers).into(),
            ..Given::default()
        };
        let rows = given.rows("input_ids", "attention_mask").unwrap();
        let labels = case.input("mlm_labels").i64s();
        let image = case.input("image");
        let pixels = Tensor::from_slice(image.f32s(), &image.shape[..], &Device::Cpu).unwrap();
        let (patches, grids) = patch_rows(&pixels, learner.model().facts().patch_size, None).unwrap();
        Self {
            visual: VisualInput::Pictures { patches, grids },
            texts: rows.split(),
            masked: given.rows("mlm_input_ids", "attention_mask").unwrap().split(),
            hidden: rows
                .places
                .iter()
                .map(|p| u32::try_from(labels[*p]).unwrap_or(IGNORE))
                .collect(),
            source,
            learner,
        }
    }

    fn model(&self) -> &dyn MomentumDistillation {
        match self.learner.objective() {
            Objective::MomentumDistillation(model) => model,
            _ => panic!("another objective"),
        }
    }

    fn golden() -> Self {
        let weights = Weights::open(&Case::golden(CASE).model_dir()).unwrap();
        Self::new(Trainable::from_weights(weights, Device::Cpu))
    }

    fn pairs(&self) -> Pairs<'_> {
        Pairs {
            visual: &self.visual,
            texts: &self.texts,
            masked: &self.masked,
            hidden: &self.hidden,
        }
    }

    fn step(&self, queues: &mut Queues, choice: NegativeChoice) -> Result<Losses, String> {
        let model = self.model();
        let named = (&self.source.vars(), &self.source.states());
        step(model, named, queues, &self.pairs(), choice, SETTINGS).map_err(|e| e.to_string())
    }

    fn queues(&self) -> Queues {
        self.model().queues().clone()
    }
}

fn scalar(t: &Tensor) -> f32 {
    t.to_scalar().unwrap()
}

fn flat(var: &Var) -> Vec<f32> {
    var.as_tensor().flatten_all().unwrap().to_vec1().unwrap()
}

/// A stream of numbers from 0 to 1.
fn stream() -> impl FnMut() -> f64 {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[test]
fn strangers_are_drawn_by_their_weights_and_never_oneself() {
    let setup = Setup::golden();
    let (mut uniform, mut drawn) = (stream(), [[0usize; 4]; 4]);
    let mut weights = Vec::new();
    for _ in 0..60 {
        let losses = setup
            .step(&mut setup.queues(), NegativeChoice::Sampled(&mut uniform))
            .unwrap();
        let of = |chosen: &[usize]| chosen.iter().enumerate().all(|(i, c)| i != *c && *c < 4);
        assert!(of(&losses.negatives.pictures) && of(&losses.negatives.texts));
        for (i, c) in losses.negatives.texts.iter().enumerate() {
            drawn[i][*c] += 1;
        }
        weights = losses.text_weights.to_vec2::<f32>().unwrap();
    }
    for (row, drawn) in weights.iter().zip(drawn) {
        let sum: f32 = row.iter().sum();
        for (weight, count) in row.iter().zip(drawn) {
            let wanted = weight / sum;
            // Four deviations of a share of 60 draws.
            let slack = 4.0 * (wanted * (1.0 - wanted) / 60.0).sqrt() + 1e-6;
            assert!((count as f32 / 60.0 - wanted).abs() <= slack, "{row:?} {drawn:?}");
        }
    }
}

#[test]
fn queues_go_round_and_refuse_what_does_not_fit() {
    let setup = Setup::golden();
    let mut queues = setup.queues();
    let (entries, first) = (queues.pictures.dim(1).unwrap(), queues.next);
    for i in 1..=entries / 4 {
        setup
            .step(&mut queues, NegativeChoice::Sampled(&mut stream()))
            .unwrap();
        assert_eq!(queues.next, (first + 4 * i) % entries);
    }
    assert_eq!(queues.pictures.dims(), setup.queues().pictures.dims());
    queues.pictures = queues.pictures.narrow(1, 0, 7).unwrap();
    let error = setup
        .step(&mut queues, NegativeChoice::Sampled(&mut stream()))
        .err()
        .unwrap();
    assert!(error.contains("7 entries"), "{error}");
}

#[test]
fn wrong_strangers_and_words_are_refused() {
    let mut setup = Setup::golden();
    let given = |pictures: &[usize], texts: &[usize]| {
        NegativeChoice::Given(Negatives {
            pictures: pictures.to_vec(),
            texts: texts.to_vec(),
        })
    };
    let error = |setup: &Setup, choice| setup.step(&mut setup.queues(), choice).err().unwrap();
    assert!(error(&setup, given(&[1, 0], &[1, 0, 3, 2])).contains("negatives"));
    assert!(error(&setup, given(&[1, 0, 3, 4], &[1, 0, 3, 2])).contains("numbers below 4"));
    setup.hidden.pop();
    assert!(error(&setup, given(&[1, 0, 3, 2], &[1, 0, 3, 2])).contains("hidden words"));
}

#[test]
fn a_batch_without_masks_teaches_no_words() {
    let mut setup = Setup::golden();
    setup.hidden.fill(IGNORE);
    let losses = setup
        .step(&mut setup.queues(), NegativeChoice::Sampled(&mut stream()))
        .unwrap();
    assert_eq!(scalar(&losses.words), 0.0);
    assert!(losses.total().unwrap().backward().is_ok());
}

#[test]
fn the_temperature_stays_in_its_range() {
    let setup = Setup::golden();
    let temperature = setup.source.vars().remove("temp").unwrap();
    for (set, kept) in [(0.9f32, 0.5f32), (1e-6, 0.001), (0.2, 0.2)] {
        temperature.set(&Tensor::new(set, &Device::Cpu).unwrap()).unwrap();
        setup
            .step(&mut setup.queues(), NegativeChoice::Sampled(&mut stream()))
            .unwrap();
        assert_eq!(scalar(temperature.as_tensor()), kept);
    }
}

#[test]
fn training_from_nothing_learns_who_belongs_to_whom() {
    let setup = Setup::new(Trainable::random(3, 0.1, Device::Cpu));
    let (vars, states) = (setup.source.vars(), setup.source.states());
    let model = setup.model();
    assert_eq!(scalar(model.temperature()), 0.07);
    ema_update(model, &vars, &states, 0.0).unwrap();
    let mut followed = 0;
    for (name, var) in &vars {
        if let Some(state) = model.teacher_tensor(name).and_then(|n| states.get(&n)) {
            assert_eq!(flat(var), flat(state), "{name}");
            followed += 1;
        }
    }
    assert_eq!(followed + 2, states.len(), "all states but the queues follow");

    let mut queues = setup.queues();
    let mut curve = Vec::new();
    for _ in 0..12 {
        let losses = setup
            .step(&mut queues, NegativeChoice::Sampled(&mut stream()))
            .unwrap();
        let total = losses.total().unwrap();
        curve.push(scalar(&total));
        let store = total.backward().unwrap();
        for var in vars.values() {
            if let Some(gradient) = store.get(var.as_tensor()) {
                let moved = (var.as_tensor().detach() - (gradient * 0.02).unwrap()).unwrap();
                var.set(&moved).unwrap();
            }
        }
        for state in states.values() {
            assert!(
                store.get(state.as_tensor()).is_none(),
                "a teacher has no gradient"
            );
        }
    }
    assert!(curve[11] < 0.8 * curve[0], "{curve:?}");
}
