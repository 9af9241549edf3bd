//! Tokens beside a base vocabulary: special ones, and words that a checkpoint added.

use crate::files::{damaged, parse};
use crate::tokenizer::check_added;
use crate::{Result, TextError};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tokenizers::AddedToken;

/// A token beside the base vocabulary.
pub(crate) struct Added {
    pub id: u32,
    pub token: AddedToken,
}

impl Added {
    pub(crate) fn special(content: &str, id: u32) -> Added {
        Added {
            id,
            token: AddedToken::from(content.to_string(), true).normalized(false),
        }
    }
}

/// Gives every added token its id in `vocabulary`: with its id in the base vocabulary it keeps that id, whatever gaps there
/// are before it. An error when the id or the text is taken.
pub(crate) fn claim(vocabulary: &mut HashMap<String, u32>, added: &[Added]) -> Result<()> {
    let mut owner: HashMap<u32, String> = vocabulary
        .iter()
        .map(|(token, id)| (*id, token.clone()))
        .collect();
    for Added { id, token } in added {
        let content = &token.content;
        let special_token = |reason: String| TextError::SpecialToken {
            token: content.clone(),
            expected: *id,
            reason,
        };
        if content.is_empty() {
            return Err(special_token("cannot be given to an empty text".to_string()));
        }
        if let Some(other) = owner
            .insert(*id, content.clone())
            .filter(|other| other != content)
        {
            return Err(special_token(format!("belongs to `{other}`")));
        }
        if let Some(other) = vocabulary
            .insert(content.clone(), *id)
            .filter(|other| other != id)
        {
            return Err(special_token(format!("disagrees with the vocabulary's {other}")));
        }
    }
    Ok(())
}

/// Adds to `known` those of `names` that `vocabulary` has and `known` has not yet.
pub(crate) fn with_named(
    mut known: Vec<Added>,
    names: &[&str],
    vocabulary: &HashMap<String, u32>,
) -> Vec<Added> {
    for name in names {
        if let Some(id) = vocabulary.get(*name).copied()
            && known.iter().all(|added| added.token.content != *name)
        {
            known.push(Added::special(name, id));
        }
    }
    known
}

/// An entry of `added_tokens_decoder`, under its id.
#[derive(Deserialize)]
struct AddedEntry {
    content: String,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    special: bool,
}

impl AddedEntry {
    fn at(self, id: u32) -> Added {
        let token = AddedToken::from(self.content, self.special)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .single_word(self.single_word)
            .normalized(self.normalized);
        Added { id, token }
    }
}

/// The fields of `tokenizer_config.json` that are read.
#[derive(Default, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    added_tokens_decoder: BTreeMap<u32, AddedEntry>,
    /// The class that the publisher's library would build.
    pub tokenizer_class: Option<String>,
    pub do_lower_case: Option<bool>,
    pub strip_accents: Option<bool>,
    pub tokenize_chinese_chars: Option<bool>,
    /// Number of tokens behind the pieces of a sentence-piece model.
    pub extra_ids: Option<u32>,
}

impl Config {
    /// The file of `dir`, or nothing where there is none.
    pub(crate) fn read(dir: &Path) -> Result<Config> {
        let path = dir.join("tokenizer_config.json");
        if path.exists() {
            parse(&path)
        } else {
            Ok(Config::default())
        }
    }

    /// Added tokens in the order of their ids: from `tokenizer_config.json`, else the older `added_tokens.json`.
    pub(crate) fn added(&mut self, dir: &Path) -> Result<Vec<Added>> {
        let listed = std::mem::take(&mut self.added_tokens_decoder);
        if !listed.is_empty() {
            let config = dir.join("tokenizer_config.json");
            check_added(listed.len()).map_err(|reason| damaged(&config, reason))?;
            return Ok(listed.into_iter().map(|(id, entry)| entry.at(id)).collect());
        }
        let older = dir.join("added_tokens.json");
        if !older.exists() {
            return Ok(Vec::new());
        }
        let tokens: BTreeMap<String, u32> = parse(&older)?;
        check_added(tokens.len()).map_err(|reason| damaged(&older, reason))?;
        let mut added: Vec<Added> = tokens
            .iter()
            .map(|(content, id)| Added::special(content, *id))
            .collect();
        added.sort_by_key(|token| token.id);
        Ok(added)
    }
}
