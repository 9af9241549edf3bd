//! Quantised matrices as published programs write them, and what the reference computes with the weights that they stand for
//! (`tools/reference/quantised_cases.py`).

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use ocellus_models::{ConfigFile, find, quantisation};
use ocellus_testkit::case::goldens_dir;
use ocellus_weights::{TensorBytes, Weights, encode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::checkpoint::Checkpoint;
use crate::variant::{Treatment, Variant};

const PART: &str = "Quantised layouts";
/// The golden whose matrices were quantised.
const BASE: &str = "qwen3_vl-batch-tied";

/// A case of the folder.
pub struct Case {
    pub folder: PathBuf,
    about: Value,
}

pub fn cases() -> Vec<Case> {
    let folders = fs::read_dir(goldens_dir().join("quantised")).expect("a folder");
    let mut folders: Vec<PathBuf> = folders.map(|folder| folder.unwrap().path()).collect();
    folders.sort();
    let case = |folder: PathBuf| {
        let about: Value = serde_json::from_slice(&fs::read(folder.join("case.json")).unwrap()).unwrap();
        assert_eq!(about["base"], BASE);
        Case { folder, about }
    };
    folders.into_iter().map(case).collect()
}

impl Case {
    pub fn edit(&self, checkpoint: &mut Checkpoint) {
        let digests = self.about["dequantised"].as_object().expect("digests");
        checkpoint.tensors.retain(|name, _| !digests.contains_key(name));
        let weights = Weights::from_file(self.folder.join("tensors.safetensors")).unwrap();
        for name in weights.names() {
            let view = weights.view(name).unwrap();
            let tensor = (view.dtype, view.shape.clone(), view.bytes.to_vec());
            checkpoint.tensors.insert(name.to_owned(), tensor);
        }
        for (path, value) in self.about["config"].as_object().expect("fields") {
            checkpoint.set(path, value.clone());
        }
    }
}

pub fn variants() -> Vec<Variant> {
    let variant = |case: Case| Variant {
        part: PART,
        name: case.about["what"].as_str().expect("a sentence").to_owned(),
        base: BASE,
        expected: Some(case.folder.clone()),
        edit: Rc::new(move |checkpoint| case.edit(checkpoint)),
        treatment: Treatment::Equal,
    };
    cases().into_iter().map(variant).collect()
}

/// The checkpoint's tensors as they are opened, with quantised matrices found.
pub fn opened(checkpoint: &Checkpoint) -> Weights {
    let tensors = checkpoint.tensors.iter();
    let tensors: Vec<TensorBytes> = tensors
        .map(|(name, (dtype, shape, bytes))| (name.clone(), *dtype, shape.clone(), bytes.clone()))
        .collect();
    let config = ConfigFile::from(checkpoint.config.clone());
    let family = find(&config).unwrap();
    let scheme = quantisation::scheme(&config, family.id).unwrap();
    assert_eq!(config.warnings(), []);
    let weights = Weights::from_bytes(encode(&tensors, &Default::default()).unwrap(), "made").unwrap();
    weights.quantised(scheme).unwrap()
}

#[test]
fn every_matrix_has_the_values_that_its_program_gives() {
    for case in cases() {
        let mut checkpoint = Checkpoint::read(BASE);
        case.edit(&mut checkpoint);
        let weights = opened(&checkpoint);
        for (name, digest) in case.about["dequantised"].as_object().unwrap() {
            let view = weights.view(name).unwrap();
            let values = view.to_f32().unwrap();
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let found: String = Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(&found, digest, "{}, {name}", case.folder.display());
        }
    }
}
