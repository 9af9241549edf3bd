//! Which files of a repository make a checkpoint, and which names may be stored.

use std::path::Path;

use ocellus_base::limits::JSON_BYTES;
use serde::Deserialize;

/// Small files by name. A repository has some of them; none is required on its own.
const BY_NAME: &[&str] = &[
    "added_tokens.json",
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
];

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

/// The files of `names` that this program reads: configurations, tokenizer, templates and one set of weights.
///
/// A repository may hold its weights twice (`model-*.safetensors` for one library, `consolidated.safetensors` for
/// another) or in variants; then only the first library's set is taken.
pub(crate) fn wanted<'n>(names: &[&'n str]) -> Vec<&'n str> {
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
    let is_wanted = |name: &str| {
        if let Some(template) = name.strip_prefix(TEMPLATES) {
            return !template.contains('/') && template.ends_with(".jinja");
        }
        !name.contains('/')
            && (BY_NAME.contains(&name)
                || name.ends_with(".tiktoken")
                || name == INDEX
                || (!sharded && name.ends_with(".safetensors.index.json"))
                || is_weights(name))
    };
    names.iter().copied().filter(|name| is_wanted(name)).collect()
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
    let has = |name: &str| names.iter().any(|n| n == name);
    let mut missing = Vec::new();
    if !CONFIGS.iter().any(|name| has(name)) {
        missing.push("config.json".into());
    }
    if has(INDEX) {
        missing.extend(
            shards(&folder.join(INDEX))
                .into_iter()
                .filter(|shard| !has(shard)),
        );
    } else if names
        .iter()
        .any(|n| n.ends_with(".safetensors") && n.contains("-of-"))
    {
        missing.push(INDEX.into());
    } else if !names.iter().any(|n| n.ends_with(".safetensors")) {
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
fn shards(index: &Path) -> Vec<String> {
    let small = std::fs::metadata(index).is_ok_and(|m| m.len() <= JSON_BYTES);
    let parsed = small
        .then(|| std::fs::read(index).ok())
        .flatten()
        .and_then(|bytes| serde_json::from_slice::<Index>(&bytes).ok());
    let Some(parsed) = parsed else {
        return vec![format!("{INDEX} (readable)")];
    };
    let mut shards: Vec<String> = parsed.weight_map.into_values().collect();
    shards.sort();
    shards.dedup();
    shards
}
