//! The model inside the program.

use sha2::{Digest, Sha256};

/// The files of `nano`, as a checkpoint folder would hold them.
///
/// A `static`, not a `const`: the bytes are in a program once, however many crates use them.
pub static FILES: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../../../models/nano/config.json")),
    (
        "generation_config.json",
        include_bytes!("../../../models/nano/generation_config.json"),
    ),
    (
        "preprocessor_config.json",
        include_bytes!("../../../models/nano/preprocessor_config.json"),
    ),
    (
        "tokenizer.json",
        include_bytes!("../../../models/nano/tokenizer.json"),
    ),
    (
        "chat_template.jinja",
        include_bytes!("../../../models/nano/chat_template.jinja"),
    ),
    (
        "ocellus.json",
        include_bytes!("../../../models/nano/ocellus.json"),
    ),
    (
        "model.safetensors",
        include_bytes!("../../../models/nano/model.safetensors"),
    ),
];

/// Whether this build carries all that a model needs. A build from an incomplete source tree does not.
pub fn is_complete() -> bool {
    [
        "config.json",
        "preprocessor_config.json",
        "tokenizer.json",
        "model.safetensors",
    ]
    .iter()
    .all(|name| file(name).is_some())
}

/// One of its files.
pub fn file(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(n, _)| *n == name).map(|(_, bytes)| *bytes)
}

/// Size of all its files.
pub fn size_bytes() -> u64 {
    FILES.iter().map(|(_, bytes)| bytes.len() as u64).sum()
}

/// SHA-256 of the file of weights, as `sha256sum models/nano/model.safetensors` prints it.
pub fn sha256() -> String {
    let mut hasher = Sha256::new();
    hasher.update(file("model.safetensors").unwrap_or_default());
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
