//! Reading a golden case: its `case.json` and its tensors.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The folder of all golden cases.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens")
}

pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

pub struct Case {
    pub folder: PathBuf,
    pub json: Value,
    expected: Vec<u8>,
}

impl Case {
    pub fn open(name: &str) -> Self {
        let folder = root().join(name);
        let json = serde_json::from_slice(&read(&folder.join("case.json"))).expect("case.json is JSON");
        let expected = read(&folder.join("expected.safetensors"));
        Self {
            folder,
            json,
            expected,
        }
    }

    /// The names of the expected tensors, early to late.
    pub fn stages(&self) -> Vec<&str> {
        let stages = self.json["stages"].as_array().expect("stages is a list");
        stages
            .iter()
            .map(|name| name.as_str().expect("a stage is a name"))
            .collect()
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        floats(&self.expected, name)
    }

    pub fn integers(&self, name: &str) -> Vec<i64> {
        integers(&self.expected, name)
    }

    pub fn levels(&self, name: &str) -> (Vec<usize>, Vec<u8>) {
        levels(&self.expected, name)
    }

    /// Fails with the first value that is out of the case's tolerance.
    pub fn check_floats(&self, name: &str, found: &[f32]) {
        let expected = self.floats(name);
        assert_eq!(found.len(), expected.len(), "{name}: number of values");
        let tolerance = |key: &str| self.json["expected"][name][key].as_f64().expect("a tolerance") as f32;
        let (atol, rtol) = (tolerance("atol"), tolerance("rtol"));
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let allowed = atol + rtol * expected.abs();
            assert!(
                (found - expected).abs() <= allowed,
                "{name}[{at}]: expected {expected}, found {found}"
            );
        }
    }

    pub fn check_integers(&self, name: &str, found: &[i64]) {
        assert_eq!(found, self.integers(name), "{name}");
    }
}

pub fn floats(file: &[u8], name: &str) -> Vec<f32> {
    let (_, bytes) = tensor(file, name, Dtype::F32);
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|chunk| f32::from_le_bytes(*chunk))
        .collect()
}

pub fn integers(file: &[u8], name: &str) -> Vec<i64> {
    let (_, bytes) = tensor(file, name, Dtype::I64);
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|chunk| i64::from_le_bytes(*chunk))
        .collect()
}

pub fn levels(file: &[u8], name: &str) -> (Vec<usize>, Vec<u8>) {
    tensor(file, name, Dtype::U8)
}

fn tensor(file: &[u8], name: &str, dtype: Dtype) -> (Vec<usize>, Vec<u8>) {
    let tensors = SafeTensors::deserialize(file).expect("a safetensors file");
    let view = tensors
        .tensor(name)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(view.dtype(), dtype, "{name}");
    (view.shape().to_vec(), view.data().to_vec())
}
