//! The tokenizer files of a checkpoint folder.

use crate::ranks::{Added, byte_level_bpe};
use crate::tokenizer::check_size;
use crate::{Result, TextError, Tokenizer};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::{fs, path::Path};
use tokenizers::AddedToken;

impl Tokenizer {
    /// Reads the tokenizer of the checkpoint folder `dir`: `tokenizer.json`, else `vocab.json` and `merges.txt` (byte-level
    /// BPE in the Qwen2 manner) with the added tokens of `tokenizer_config.json`.
    pub fn from_dir(dir: &Path) -> Result<Tokenizer> {
        let (whole, vocabulary) = (dir.join("tokenizer.json"), dir.join("vocab.json"));
        if whole.exists() {
            let file = || whole.display().to_string();
            return Tokenizer::from_json(read(&whole)?).map_err(|error| match error {
                TextError::Damaged { reason, .. } => TextError::Damaged { file: file(), reason },
                other => other,
            });
        }
        let merges = dir.join("merges.txt");
        if !vocabulary.exists() || !merges.exists() {
            return Err(TextError::NoTokenizer {
                dir: dir.to_path_buf(),
            });
        }
        let entries: HashMap<String, u32> = parse(&vocabulary)?;
        byte_level_bpe(entries, read_merges(&merges)?, false, added_tokens(dir)?)
    }
}

/// `merges.txt`: an optional `#version` line, then two pieces a line, best first.
fn read_merges(path: &Path) -> Result<Vec<(String, String)>> {
    let damaged = |reason: String| TextError::Damaged {
        file: path.display().to_string(),
        reason,
    };
    let text = String::from_utf8(read(path)?).map_err(|e| damaged(e.to_string()))?;
    let mut merges = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || (number == 0 && line.starts_with("#version")) {
            continue;
        }
        match line.split_once(' ') {
            Some((left, right)) if !right.contains(' ') => merges.push((left.to_string(), right.to_string())),
            _ => {
                return Err(damaged(format!(
                    "line {}: expected two pieces with a space between",
                    number + 1
                )));
            }
        }
    }
    Ok(merges)
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

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    added_tokens_decoder: BTreeMap<u32, AddedEntry>,
}

/// Added tokens in the order of their ids: from `tokenizer_config.json`, else the older `added_tokens.json`.
fn added_tokens(dir: &Path) -> Result<Vec<Added>> {
    let (config, older) = (dir.join("tokenizer_config.json"), dir.join("added_tokens.json"));
    if config.exists() {
        let config: Config = parse(&config)?;
        if !config.added_tokens_decoder.is_empty() {
            return Ok(config
                .added_tokens_decoder
                .into_iter()
                .map(|(id, entry)| entry.at(id))
                .collect());
        }
    }
    if older.exists() {
        let tokens: BTreeMap<String, u32> = parse(&older)?;
        let mut added: Vec<Added> = tokens
            .iter()
            .map(|(content, id)| Added::special(content, *id))
            .collect();
        added.sort_by_key(|token| token.id);
        return Ok(added);
    }
    Ok(Vec::new())
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

/// A whole file, if it is not too large.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let io = |source| TextError::Io {
        file: path.to_path_buf(),
        source,
    };
    check_size(&path.display().to_string(), fs::metadata(path).map_err(io)?.len())?;
    fs::read(path).map_err(io)
}

/// A JSON file of a known form.
pub(crate) fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read(path)?).map_err(|e| TextError::Damaged {
        file: path.display().to_string(),
        reason: e.to_string(),
    })
}
