//! Which files of a repository make a checkpoint, and which names may be stored.

use std::collections::HashSet;
use std::path::Path;

use ocellus_base::limits::{JSON_BYTES, VOCABULARY_BYTES};
use serde::Deserialize;

/// Small files by name. A repository has some of them; none is required on its own.
const BY_NAME: &[&str] = &[
    "adapter_config.json",
    "added_tokens.json",
    "bpe_simple_vocab_16e6.txt",
    "bpe_simple_vocab_16e6.txt.gz",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",
    "config.yaml",
    "generation_config.json",
    "merges.txt",
    "open_clip_config.json",
    "params.json",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "spiece.model",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
    "vocab.json",
    "vocab.txt",
];

/// Any one of these says what the model is.
pub(crate) const CONFIGS: &[&str] = &[
    "config.json",
    "params.json",
    "open_clip_config.json",
    "config.yaml",
];

/// Any one of these is enough to turn text into token ids.
const TOKENIZERS: &[&str] = &[
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "tekken.json",
    "tokenizer.model",
    "spiece.model",
    "bpe_simple_vocab_16e6.txt",
    "bpe_simple_vocab_16e6.txt.gz",
];

/// What says that a folder holds an adapter, and the file with its tensors: the first that is there is read.
pub(crate) const ADAPTER: &str = "adapter_config.json";
pub(crate) const ADAPTER_WEIGHTS: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];

/// Endings of torch files, and those that trainers leave beside the weights.
const TORCH: &[&str] = &[".bin", ".pt", ".pth", ".ckpt", ".th"];
const NO_WEIGHTS: &[&str] = &[
    "training_args",
    "optimizer",
    "scheduler",
    "rng_state",
    "random_states",
    "adapter",
];

const TORCH_WHOLE: &str = "pytorch_model.bin";
const TORCH_INDEX: &str = ".bin.index.json";
const INDEX: &str = "model.safetensors.index.json";
const TEMPLATES: &str = "additional_chat_templates/";

/// Whether a file name from a hub may become a path below a snapshot, on every operating system.
pub(crate) fn is_safe_name(name: &str) -> bool {
    let device = |part: &str| {
        let stem = part.split('.').next().unwrap_or(part).to_ascii_uppercase();
        matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
            || (stem.len() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT")))
    };
    let part_is_safe = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && !part.ends_with(['.', ' ']) && !device(part)
    };
    let forbidden = |c: char| c.is_control() || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    name.len() <= 512 && !name.contains(forbidden) && name.split('/').all(part_is_safe)
}

/// Whether a model's configuration, tokenizer or template stands in a file of this name.
pub fn is_read(name: &str) -> bool {
    BY_NAME.contains(&name) || name.ends_with(".tiktoken")
}

/// Bytes that a file of this name may have, by what it is for.
pub(crate) fn most_bytes(name: &str) -> u64 {
    match is_read(name) || name.starts_with(TEMPLATES) {
        true if CONFIGS.contains(&name) => JSON_BYTES,
        true => VOCABULARY_BYTES,
        false => u64::MAX,
    }
}

/// The files of `names` that this program reads: configurations, tokenizer, templates and one set of weights.
pub(crate) fn wanted<'n>(names: &[&'n str]) -> Vec<&'n str> {
    let mut weights: HashSet<&str> = weights(names).into_iter().collect();
    if names.contains(&ADAPTER) {
        weights.extend(ADAPTER_WEIGHTS.iter().find(|name| names.contains(name)));
    }
    let is_wanted = |name: &&str| {
        if let Some(template) = name.strip_prefix(TEMPLATES) {
            return !template.contains('/') && template.ends_with(".jinja");
        }
        !name.contains('/') && (is_read(name) || weights.contains(name))
    };
    names.iter().copied().filter(is_wanted).collect()
}

/// One set of weights of a repository, with its index; empty when there is none that is read.
///
/// A repository may hold its weights twice (`model-*.safetensors` for one library, `consolidated.safetensors` for
/// another) or in variants; then only the first library's set is taken. Torch files count where there are no safetensors.
pub(crate) fn weights<'n>(names: &[&'n str]) -> Vec<&'n str> {
    let top: Vec<&str> = names.iter().copied().filter(|name| !name.contains('/')).collect();
    let set = safetensors(&top);
    if set.is_empty() { torch(&top) } else { set }
}

fn safetensors<'n>(names: &[&'n str]) -> Vec<&'n str> {
    let sharded = names.contains(&INDEX);
    let single = names.contains(&"model.safetensors");
    let is_weights = |name: &str| {
        let Some(stem) = name.strip_suffix(".safetensors") else {
            return false;
        };
        match (sharded, single) {
            (true, _) => stem.starts_with("model-") && stem.contains("-of-"),
            (false, true) => stem == "model",
            (false, false) => !stem.starts_with("adapter"),
        }
    };
    if !names.iter().any(|name| is_weights(name)) {
        return Vec::new();
    }
    let is_index = |name: &str| name == INDEX || (!sharded && name.ends_with(".safetensors.index.json"));
    let both = |name: &&str| is_weights(name) || is_index(name);
    names.iter().copied().filter(both).collect()
}

/// `pytorch_model.bin`; or the only index with its shards; or the only torch file.
fn torch<'n>(names: &[&'n str]) -> Vec<&'n str> {
    let files: Vec<&str> = names.iter().copied().filter(|name| is_torch(name)).collect();
    if files.contains(&TORCH_WHOLE) {
        return files.into_iter().filter(|name| *name == TORCH_WHOLE).collect();
    }
    let mut indices = names.iter().filter(|name| name.ends_with(TORCH_INDEX));
    if let (Some(index), None) = (indices.next(), indices.next()) {
        let stem = index.trim_end_matches(TORCH_INDEX);
        let is_shard = |name: &&str| {
            let rest = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('-'));
            rest.is_some_and(|rest| rest.contains("-of-"))
        };
        let mut shards: Vec<&str> = files.into_iter().filter(is_shard).collect();
        if !shards.is_empty() {
            shards.push(index);
        }
        return shards;
    }
    if files.len() == 1 { files } else { Vec::new() }
}

/// Whether a torch file may be a model's weights.
fn is_torch(name: &str) -> bool {
    TORCH.iter().any(|end| name.ends_with(end)) && !NO_WEIGHTS.iter().any(|start| name.starts_with(start))
}

/// Some of the files that look like weights, for the message that none of them can be read.
pub(crate) fn weight_like(names: &[&str]) -> String {
    const OTHERS: &[&str] = &[".safetensors", ".gguf", ".h5", ".msgpack", ".onnx"];
    let like = |name: &&&str| is_torch(name) || OTHERS.iter().any(|end| name.ends_with(end));
    let found: Vec<&str> = names.iter().filter(like).take(5).copied().collect();
    match found[..] {
        [] => "no weight files at all".into(),
        _ => found.join(", "),
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: std::collections::BTreeMap<String, String>,
}

/// What a folder lacks to be a checkpoint of a hub: names of files, empty when complete. A pointer whose blob is gone
/// counts as missing.
pub(crate) fn missing(folder: &Path) -> Vec<String> {
    let names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let known: HashSet<&str> = names.iter().map(String::as_str).collect();
    let has = |name: &str| known.contains(name);
    let mut missing = Vec::new();
    let plain: Vec<&str> = names.iter().map(String::as_str).collect();
    if has(ADAPTER) && weights(&plain).is_empty() {
        // All else is its base's.
        let there = ADAPTER_WEIGHTS.iter().any(|name| has(name));
        return Vec::from_iter((!there).then(|| ADAPTER_WEIGHTS[0].into()));
    }
    if !CONFIGS.iter().any(|name| has(name)) {
        missing.push("config.json".into());
    }
    // Shards that are numbered and all there need no index.
    let in_parts = |end: &str| {
        let parts: Vec<&str> = names
            .iter()
            .filter_map(|n| n.strip_suffix(end)?.rsplit_once("-of-").map(|(_, of)| of))
            .collect();
        let whole = parts.first().and_then(|of| of.parse().ok()) == Some(parts.len());
        !parts.is_empty() && !whole
    };
    let of_torch: Vec<&String> = names.iter().filter(|n| n.ends_with(TORCH_INDEX)).collect();
    let shards_of = |index: &str| {
        let shards = shards(folder, index).into_iter();
        shards.filter(|shard| !has(shard)).collect::<Vec<_>>()
    };
    if has(INDEX) {
        missing.extend(shards_of(INDEX));
    } else if in_parts(".safetensors") {
        missing.push(INDEX.into());
    } else if names.iter().any(|n| n.ends_with(".safetensors")) || has(TORCH_WHOLE) {
        // Whole.
    } else if let [index] = of_torch[..] {
        missing.extend(shards_of(index));
    } else if in_parts(".bin") {
        missing.push(format!("pytorch_model{TORCH_INDEX}"));
    } else if !names.iter().any(|n| is_torch(n)) {
        missing.push("model.safetensors".into());
    }
    if !names
        .iter()
        .any(|n| TOKENIZERS.contains(&n.as_str()) || n.ends_with(".tiktoken"))
    {
        missing.push("tokenizer.json".into());
    }
    missing
}

/// The shards that an index names; an index that cannot be read is itself what is missing.
fn shards(folder: &Path, index: &str) -> Vec<String> {
    let path = folder.join(index);
    let bytes = ocellus_base::files::read(&path, JSON_BYTES).ok();
    let parsed = bytes.and_then(|bytes| serde_json::from_slice::<Index>(&bytes).ok());
    let Some(parsed) = parsed else {
        return vec![format!("{index} (readable)")];
    };
    let mut shards: Vec<String> = parsed.weight_map.into_values().collect();
    shards.sort();
    shards.dedup();
    shards
}
