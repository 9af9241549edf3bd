//! The published Qwen vocabulary and the golden cases.
#![allow(dead_code, reason = "every test file uses a part of this")]

pub mod kinds;

use ocellus_text::Tokenizer;
use ocellus_weights::Weights;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::LazyLock;

pub fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens")
}

pub fn rank_file() -> Vec<u8> {
    std::fs::read(goldens().join("vocab/qwen.tiktoken")).unwrap()
}

pub struct Case {
    pub options: Value,
    expected: Weights,
}

impl Case {
    pub fn open(name: &str) -> Case {
        let dir = goldens().join(name);
        let json: Value = serde_json::from_slice(&std::fs::read(dir.join("case.json")).unwrap()).unwrap();
        Case {
            options: json["options"].clone(),
            expected: Weights::from_file(dir.join("expected.safetensors")).unwrap(),
        }
    }

    /// The expected ids of string `i`.
    pub fn ids(&self, i: usize) -> Vec<u32> {
        let read = |name: &str| self.expected.view(name).unwrap().to_i64().unwrap();
        let (ids, offsets) = (read("ids"), read("offsets"));
        ids[offsets[i] as usize..offsets[i + 1] as usize]
            .iter()
            .map(|id| u32::try_from(*id).unwrap())
            .collect()
    }

    pub fn count(&self) -> usize {
        self.expected.view("offsets").unwrap().shape[0] - 1
    }
}

/// Special tokens of Qwen2.5-VL, as the token case lists them.
pub fn special() -> Vec<(String, u32)> {
    let case = Case::open("qwen2_5_vl-tokens");
    let table = case.options["special_tokens"].as_object().unwrap();
    table
        .iter()
        .map(|(token, id)| (token.clone(), id.as_u64().unwrap() as u32))
        .collect()
}

/// The Qwen2.5-VL tokenizer, built once for each test program.
pub fn qwen() -> &'static Tokenizer {
    static QWEN: LazyLock<Tokenizer> =
        LazyLock::new(|| Tokenizer::from_ranks(&rank_file(), &special()).unwrap());
    &QWEN
}
