//! Small checkpoints to run commands on: golden cases with a tokenizer that fits their few ids, a picture, and regions.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ocellus_weights::{Dtype, TensorBytes, Weights, f32_bytes};
use serde_json::{Value, json};

/// Words that the tokenizers know, from id 10 on. What follows up to the model's last id is named after its id.
const WORDS: &[&str] = &[
    "a", "cat", "dog", "on", "the", "mat", "photo", "of", "picture", "question", "answer", "what", "is",
    "this", "short", "red", "two", ":", "?",
];
pub const FIRST_WORD: u32 = 10;

/// Names of special tokens with their ids.
pub type Marks = &'static [(&'static str, u32)];

pub const SENTENCES: Marks = &[
    ("[PAD]", 0),
    ("[UNK]", 1),
    ("[CLS]", 3),
    ("[SEP]", 4),
    ("[MASK]", 5),
];
/// As [`SENTENCES`], with the end where the config of these models has it.
pub const ENDS_AT_102: Marks = &[
    ("[PAD]", 0),
    ("[UNK]", 1),
    ("[CLS]", 101),
    ("[SEP]", 102),
    ("[MASK]", 5),
];
pub const STARTS_AND_ENDS: Marks = &[("[UNK]", 1), ("<|startoftext|>", 158), ("<|endoftext|>", 159)];
pub const END_AT_2: Marks = &[("[UNK]", 3), ("</s>", 2)];
pub const END_AT_1: Marks = &[("[UNK]", 3), ("</s>", 1)];

/// A picture in every place.
pub const PICTURE: &str = "shapes.png";
/// What a detector could have found in it, for models that take 20 numbers a region.
pub const REGIONS: &str = "shapes.safetensors";

pub fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens")
}

/// Writes the picture and its regions.
pub fn sights(folder: &Path) {
    fs::copy(goldens().join("images/d0_shapes.png"), folder.join(PICTURE)).unwrap();
    regions(&folder.join(REGIONS), 3, 20);
}

/// Writes `count` regions of `width` numbers each.
pub fn regions(file: &Path, count: usize, width: usize) {
    let features: Vec<f32> = (0..count * width)
        .map(|i| ((i * i % 97) as f32 / 97.0) - 0.4)
        .collect();
    let boxes: Vec<f32> = (0..count)
        .flat_map(|i| [i as f32 * 10.0, 5.0, i as f32 * 10.0 + 30.0, 60.0])
        .collect();
    let tensor = |name: &str, shape: Vec<usize>, values: &[f32]| {
        (
            name.to_owned(),
            Dtype::F32,
            shape,
            f32_bytes(values, Dtype::F32).unwrap(),
        )
    };
    let tensors = [
        tensor("features", vec![count, width], &features),
        tensor("boxes", vec![count, 4], &boxes),
        tensor("size", vec![2], &[200.0, 100.0]),
    ];
    ocellus_weights::write(file, &tensors, &BTreeMap::new()).unwrap();
}

/// Copies a case's checkpoint into a folder, with the weights file of that ending alone.
pub fn checkpoint(to: &Path, (case, marks): (&str, Marks), weights: &str) {
    let from = goldens().join(case).join("model");
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(&from).unwrap().map(Result::unwrap) {
        let file = entry.file_name().into_string().unwrap();
        if file.ends_with(".json") || file.ends_with(weights) {
            fs::copy(entry.path(), to.join(file)).unwrap();
        }
    }
    let config: Value = serde_json::from_slice(&fs::read(to.join("config.json")).unwrap()).unwrap();
    let places = [
        "/vocab_size",
        "/text_config/vocab_size",
        "/bert_config/vocab_size",
    ];
    let size = places
        .iter()
        .find_map(|place| config.pointer(place)?.as_u64())
        .unwrap();
    tokenizer(to, size as u32, marks);
}

/// Writes `vocab.txt` for models of sentences, else `tokenizer.json`.
pub fn tokenizer(folder: &Path, size: u32, marks: Marks) {
    let token = |id: u32| {
        let mark = marks
            .iter()
            .find(|(_, at)| *at == id)
            .map(|(mark, _)| (*mark).to_owned());
        let word = || Some((*WORDS.get(id.checked_sub(FIRST_WORD)? as usize)?).to_owned());
        mark.or_else(word).unwrap_or_else(|| format!("w{id}"))
    };
    let tokens: Vec<String> = (0..size).map(token).collect();
    if marks == SENTENCES {
        return fs::write(folder.join("vocab.txt"), tokens.join("\n") + "\n").unwrap();
    }
    let vocab: BTreeMap<&String, usize> = tokens.iter().zip(0..).collect();
    let added = marks.iter().map(|(mark, id)| {
        json!({"id": id, "content": mark, "special": true, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false})
    });
    let tokenizer = json!({
        "version": "1.0", "added_tokens": added.collect::<Vec<_>>(), "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"},
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

/// Changes fields at the top of the folder's `config.json`.
pub fn configure(folder: &Path, changes: Value) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    fs::write(path, config.to_string()).unwrap();
}

/// Adds tensors of these shapes to a file, filled with small numbers.
pub fn add(file: &Path, more: &[(&str, &[usize])]) {
    let weights = Weights::from_bytes(fs::read(file).unwrap(), "weights").unwrap();
    let view = |name: &str| weights.view(name).unwrap();
    let old = weights.names().map(|name| {
        (
            name.to_owned(),
            view(name).dtype,
            view(name).shape,
            view(name).bytes.to_vec(),
        )
    });
    let new = more.iter().map(|(name, shape)| {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| (i * 7 % 13) as f32 / 13.0 - 0.45).collect();
        (
            (*name).to_owned(),
            Dtype::F32,
            shape.to_vec(),
            f32_bytes(&values, Dtype::F32).unwrap(),
        )
    });
    let tensors: Vec<TensorBytes> = old.chain(new).collect();
    ocellus_weights::write(file, &tensors, &BTreeMap::new()).unwrap();
}
