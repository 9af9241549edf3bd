//! A file that the published Python package wrote, against the values that its own decoders give (`types.safetensors`).

use crate::blocks::TYPES;
use ocellus_weights::{Dtype, Weights};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gguf/data/types.gguf");
const VALUES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gguf/data/types.safetensors");

#[test]
fn every_type_has_the_values_of_the_reference() {
    let (weights, values) = (
        Weights::from_file(FILE).unwrap(),
        Weights::from_file(VALUES).unwrap(),
    );
    assert_eq!(
        weights.names().collect::<Vec<_>>(),
        values.names().collect::<Vec<_>>()
    );
    let plain = [Dtype::F32, Dtype::F16, Dtype::Bf16];
    for dtype in plain.into_iter().chain(TYPES.iter().map(|row| row.0)) {
        let name = dtype.name();
        let (view, expected) = (weights.view(name).unwrap(), values.view(name).unwrap());
        assert_eq!((view.dtype, &view.shape), (dtype, &expected.shape));
        let expected = expected.to_f32().unwrap();
        assert!(expected.iter().any(|value| *value != 0.0), "{name}");
        assert_eq!(view.to_f32().unwrap(), expected, "{name}");
    }
}

#[test]
fn metadata_of_the_reference() {
    let weights = Weights::from_file(FILE).unwrap();
    let metadata = weights.gguf().unwrap();
    assert_eq!(metadata.text("general.architecture").unwrap(), Some("example"));
    assert_eq!(metadata.size("example.block_count").unwrap(), Some(2));
    assert_eq!(
        metadata.integers("example.sections").unwrap(),
        Some(vec![2, 3, 3])
    );
    let tokens = metadata.texts("tokenizer.ggml.tokens").unwrap();
    assert_eq!(tokens, Some(vec!["a", "ä", "<|end|>"]));
}
