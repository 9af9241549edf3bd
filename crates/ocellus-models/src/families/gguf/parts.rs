//! The two files of a model, and the config that is made from them.

use ocellus_text::Tokenizer;
use ocellus_weights::{Assembly, Weights};
use serde_json::Value;
use std::collections::BTreeMap;

use super::keys::Keys;

pub(super) const ARCHITECTURE: &str = "general.architecture";

/// What the reader of an architecture makes of the two files.
pub(super) struct Parts {
    pub config: Value,
    pub preprocessor: Value,
    pub assemblies: BTreeMap<String, Assembly>,
    /// Tensors that repeat a tensor of the other file.
    pub copies: &'static [&'static str],
}

/// The two files with their metadata.
pub(super) struct Files<'a> {
    pub language_keys: Keys<'a>,
    pub tower_keys: Keys<'a>,
    /// The tensors of both files.
    pub tensors: &'a Weights,
    pub tokens: &'a Tokenizer,
}
