//! The two files of a model, and what is made of them.

use ocellus_text::Tokenizer;
use ocellus_weights::{Recipe, Weights};
use serde_json::Value;
use std::collections::BTreeMap;

use super::keys::Keys;

pub(super) const ARCHITECTURE: &str = "general.architecture";

/// What a kind of model makes of its two files.
pub(super) struct Parts {
    pub config: Value,
    pub preprocessor: Value,
    pub recipes: BTreeMap<String, Recipe>,
    /// Tensors of which the other file holds the same.
    pub copies: &'static [&'static str],
}

/// The two files, and what their metadata say.
pub(super) struct Files<'a> {
    pub language_keys: Keys<'a>,
    pub tower_keys: Keys<'a>,
    /// The tensors of both.
    pub tensors: &'a Weights,
    pub tokens: &'a Tokenizer,
}
