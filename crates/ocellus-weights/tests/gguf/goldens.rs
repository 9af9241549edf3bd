//! A file that the published Python package wrote, against the values that its own decoders give (`types.safetensors`).

use crate::blocks::TYPES;
use ocellus_weights::{Dtype, Weights};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gguf/data/types.gguf");
const VALUES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gguf/data/types.safetensors");

/// Types that the package only reads, in blocks of random bytes (`tools/reference/quantised_cases.py`).
const MORE_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gguf/data/more_types.gguf");
const MORE_VALUES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/gguf/data/more_types.safetensors"
);

#[test]
fn every_type_has_the_values_of_the_reference() {
    let mut tried = Vec::new();
    for (file, values) in [(FILE, VALUES), (MORE_FILE, MORE_VALUES)] {
        let (weights, values) = (
            Weights::from_file(file).unwrap(),
            Weights::from_file(values).unwrap(),
        );
        assert_eq!(
            weights.names().collect::<Vec<_>>(),
            values.names().collect::<Vec<_>>()
        );
        for name in weights.names() {
            let (view, expected) = (weights.view(name).unwrap(), values.view(name).unwrap());
            assert_eq!((view.dtype.name(), &view.shape), (name, &expected.shape));
            let expected = expected.to_f32().unwrap();
            assert!(expected.iter().any(|value| *value != 0.0), "{name}");
            assert_eq!(view.to_f32().unwrap(), expected, "{name}");
            tried.push(view.dtype);
        }
    }
    let plain = [Dtype::F32, Dtype::F16, Dtype::Bf16];
    for dtype in plain.into_iter().chain(TYPES.iter().map(|row| row.0)) {
        // The package does not read this one, which language models have in their caches alone.
        assert!(dtype == Dtype::Q8K || tried.contains(&dtype), "{dtype}");
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
