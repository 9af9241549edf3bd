//! Every family that says how its reference is called computes what the reference computed, stage by stage.
//!
//! What needs a loop of its own (decoding) is checked where the loop is: in the program's own parity command.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_models::families::{find, load_trace, named, parse};
use ocellus_models::{CONFIG_FILES, Family, Given, Trace};
use ocellus_nn::{Frozen, Params, Precision, Taps};
use ocellus_testkit::Case;
use ocellus_testkit::case::Values;
use ocellus_weights::Weights;

/// Stages that come from decoding.
const DECODED: &[&str] = &[
    "greedy_ids",
    "greedy_margin",
    "beam_ids",
    "beam_scores",
    "step_logits",
];
/// Tasks that need neither decoding nor a trainer.
const TASKS: &[&str] = &["logits", "generate", "embed", "match"];

/// The family of a case, and its model with no tensor left over, if it replays its reference.
fn load(case: &Case) -> (&'static Family, Option<Box<dyn Trace>>) {
    let dir = case.model_dir();
    let mut config = CONFIG_FILES.iter().map(|name| dir.join(name));
    let config = config.find(|path| path.exists()).expect("a config");
    let config = std::fs::read_to_string(config).expect("the config is text");
    let weights = Weights::open(&dir).expect("the checkpoint opens");
    let source = Rc::new(Frozen::new(Arc::new(weights), Device::Cpu, DType::F32));
    let family = find(&parse(&config).expect("the config is JSON")).expect("a family");
    let params = Params::new(source.clone(), Precision::F32);
    let model = load_trace(&config, &params).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    if model.is_none() {
        ocellus_models::load(&config, &params).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    }
    source
        .finish(|name| family.ignores(name))
        .unwrap_or_else(|e| panic!("{}: {e}", case.name));
    (family, model)
}

fn given(case: &Case) -> Given {
    let mut given = Given {
        options: case.options.clone(),
        ..Given::default()
    };
    for (name, tensor) in &case.inputs {
        let (name, shape) = (name.clone(), tensor.shape.clone());
        match &tensor.values {
            Values::F32(values) => given.floats.insert(name, (shape, values.clone())).is_some(),
            Values::I64(values) => given.integers.insert(name, (shape, values.clone())).is_some(),
            Values::U8(_) => panic!("bytes are no argument"),
        };
    }
    given
}

fn check(case: &Case, model: &dyn Trace) {
    let mut tapped = BTreeMap::new();
    let mut listen = |name: &str, tensor: &Tensor| {
        tapped.insert(name.to_owned(), tensor.clone());
    };
    let traced = model.trace(&given(case), &mut Taps::new(&mut listen));
    for stage in case.stages.iter().filter(|s| !DECODED.contains(&s.as_str())) {
        let Some(tensor) = tapped.get(stage) else {
            panic!(
                "{}-{}: `{stage}` was not computed: {traced:?}",
                case.family, case.name
            );
        };
        let expected = case.expect(stage);
        assert_eq!(
            tensor.dims(),
            &expected.shape[..],
            "{}-{}, shape of `{stage}`",
            case.family,
            case.name
        );
        let flat = tensor.flatten_all().unwrap();
        match &expected.values {
            Values::I64(values) => {
                let got: Vec<i64> = flat.to_dtype(DType::I64).unwrap().to_vec1().unwrap();
                assert_eq!(&got, values, "{}-{}, `{stage}`", case.family, case.name);
            }
            _ => {
                let got: Vec<f32> = flat.to_dtype(DType::F32).unwrap().to_vec1().unwrap();
                case.assert_close(stage, &got);
            }
        }
    }
    traced.unwrap();
}

/// All cases of `tests/goldens` whose family is `id` or one of its other names.
fn golden(id: &str) {
    let mut run = 0;
    for folder in Case::folders("") {
        let case = Case::golden(&folder);
        let own = named(&case.family).is_some_and(|f| f.id == id);
        if own && TASKS.contains(&case.task.as_str()) {
            let (family, model) = load(&case);
            assert_eq!(family.id, id, "{folder}");
            model.iter().for_each(|model| check(&case, model.as_ref()));
            run += 1;
        }
    }
    assert!(run > 0, "no case of {id}");
}

/// One test a family, so that a failure names it and they run side by side.
macro_rules! families {
    ($($test:ident $id:literal,)*) => {
        $(#[test]
        fn $test() {
            golden($id);
        })*
    };
}

families! {
    frcnn "frcnn",
    blip "blip",
    blip_2 "blip-2",
    qwen2_vl "qwen2_vl",
    qwen2_5_vl "qwen2_5_vl",
    qwen3_vl "qwen3_vl",
    vilbert "vilbert",
    uniter "uniter",
    albef "albef",
    vlmo "vlmo",
    clip "clip",
    vilt "vilt",
    pixtral "pixtral",
    qwen "qwen",
}
