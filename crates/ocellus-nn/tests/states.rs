//! Tensors that gradients do not change are kept apart from those that they do, and count as taken.

use candle_core::Device;
use ocellus_nn::{LoadError, Params, Precision, Trainable};
use ocellus_weights::{Dtype, Weights, encode, f32_bytes, i64_bytes};
use std::collections::BTreeMap;
use std::rc::Rc;

fn weights() -> Weights {
    let floats = |name: &str, values: &[f32]| {
        let bytes = f32_bytes(values, Dtype::F32).unwrap();
        (name.to_owned(), Dtype::F32, vec![values.len()], bytes)
    };
    let counter = ("next".to_owned(), Dtype::I64, vec![1], i64_bytes(&[6]));
    let tensors = [floats("own", &[1.0, 2.0]), floats("queue", &[3.0]), counter];
    Weights::from_bytes(encode(&tensors, &BTreeMap::new()).unwrap(), "states").unwrap()
}

#[test]
fn a_state_is_no_variable_of_the_optimiser() {
    let source = Rc::new(Trainable::from_weights(weights(), Device::Cpu));
    let params = Params::new(source.clone(), Precision::F32);
    params.tensor("own", &[2]).unwrap();
    assert!(source.finish(|_| false).is_err());
    params.untrained().tensor("queue", &[1]).unwrap();
    assert_eq!(params.integers("next", 1).unwrap(), [6]);
    source.finish(|_| false).unwrap();
    assert_eq!(source.vars().into_keys().collect::<Vec<_>>(), ["own"]);
    assert_eq!(source.states().into_keys().collect::<Vec<_>>(), ["queue"]);
}

#[test]
fn a_state_that_changes_is_seen_by_whoever_loaded_it() {
    let source = Rc::new(Trainable::from_weights(weights(), Device::Cpu));
    let queue = Params::new(source.clone(), Precision::F32).untrained();
    let loaded = queue.tensor("queue", &[1]).unwrap();
    let var = source.states().remove("queue").unwrap();
    var.set(&(var.as_tensor() * 2.0).unwrap()).unwrap();
    assert_eq!(loaded.to_vec1::<f32>().unwrap(), [6.0]);
}

#[test]
fn a_counter_of_another_length_or_type_is_refused() {
    let params = Params::new(
        Rc::new(Trainable::from_weights(weights(), Device::Cpu)),
        Precision::F32,
    );
    let error = |name: &str, count| params.integers(name, count).unwrap_err();
    assert!(matches!(error("next", 2), LoadError::Shape { .. }));
    assert!(matches!(error("none", 1), LoadError::Missing { .. }));
    assert!(matches!(error("own", 2), LoadError::Weights(_)));
}

#[test]
fn two_parts_may_share_a_tensor() {
    let source = Rc::new(Trainable::random(1, 0.1, Device::Cpu));
    let params = Params::new(source.clone(), Precision::F32);
    let upper = params.sharing(|name| (name == "upper.in.weight").then(|| "lower.in.weight".to_owned()));
    let load = |p: &Params, part: &str| p.at(part).at("in").tensor("weight", &[2, 3]).unwrap();
    let (low, high) = (load(&params, "lower"), load(&upper, "upper"));
    load(&upper, "other");
    assert_eq!(low.id(), high.id());
    assert_eq!(
        source.vars().into_keys().collect::<Vec<_>>(),
        ["lower.in.weight", "other.in.weight"]
    );
}
