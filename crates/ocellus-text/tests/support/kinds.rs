//! The vocabularies of every kind, by the folder they lie in.

use ocellus_text::Tokenizer;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

pub fn folder(kind: &str) -> PathBuf {
    super::goldens().join("tokenizers").join(kind)
}

pub fn open(kind: &str) -> Tokenizer {
    Tokenizer::from_dir(&folder(kind)).unwrap()
}

pub fn golden(kind: &str) -> Value {
    serde_json::from_slice(&fs::read(folder(kind).join("golden.json")).unwrap()).unwrap()
}

pub fn ids(value: &Value) -> Vec<u32> {
    let ids = value.as_array().unwrap().iter();
    ids.map(|id| u32::try_from(id.as_u64().unwrap()).unwrap())
        .collect()
}
