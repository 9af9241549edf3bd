//! Pictures whose middle is cut out with an odd number of pixels too many.

use std::collections::BTreeMap;
use std::fs;

use ocellus_weights::{Dtype, TensorBytes, Weights};
use serde_json::{Value, json};

use crate::checkpoints::{STARTS_AND_ENDS, goldens, tokenizer};
use crate::support::Place;

const POSITIONS: &str = "visual.positional_embedding";

/// OpenCLIP cuts as torchvision does, half of three columns rounded to two: the embedding is the one that it computes.
#[test]
fn the_middle_of_a_picture_is_that_of_the_publisher() {
    let place = Place::new();
    let case = goldens().join("clip-open-clip");
    let read = |path: &str| -> Value { serde_json::from_slice(&fs::read(case.join(path)).unwrap()).unwrap() };
    let expected = read("odd-crop.json");
    let side = expected["side"].as_u64().unwrap() as usize;
    let mut config = read("model/open_clip_config.json");
    config["model_cfg"]["vision_cfg"]["image_size"] = json!(side);
    place.write("model/open_clip_config.json", config.to_string());
    tokenizer(&place.path().join("model"), 160, STARTS_AND_ENDS);
    let weights = Weights::open(&case.join("model")).unwrap();
    let tensors: Vec<TensorBytes> = weights
        .names()
        .map(|name| {
            let view = weights.view(name).unwrap();
            let (mut shape, mut bytes) = (view.shape.clone(), view.bytes.to_vec());
            if name == POSITIONS {
                // A square picture has fewer places.
                let patch = config["model_cfg"]["vision_cfg"]["patch_size"].as_u64().unwrap() as usize;
                shape[0] = (side / patch).pow(2) + 1;
                bytes.truncate(shape.iter().product::<usize>() * Dtype::F32.size_bytes());
            }
            (name.to_owned(), view.dtype, shape, bytes)
        })
        .collect();
    let file = place.path().join("model/open_clip_model.safetensors");
    ocellus_weights::write(&file, &tensors, &BTreeMap::new()).unwrap();
    fs::copy(case.join("odd-crop.png"), place.path().join("odd.png")).unwrap();
    let outcome = place.run(&["embed", "odd.png", "-m", "./model", "--format", "json"], &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap())
            .collect()
    };
    let (found, expected) = (numbers(&found["embedding"]), numbers(&expected["embedding"]));
    assert_eq!(found.len(), expected.len());
    let largest = found
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    assert!(largest < 1e-5, "{largest}");
}
