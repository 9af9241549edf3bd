//! Files of a tokenizer, read whole within limits.

use crate::tokenizer::{MAX_VOCABULARY_BYTES, check_size};
use crate::{Result, TextError};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::{fs, io};

/// Most rows of a model's embedding table without a token.
const MOST_SPARE_ROWS: usize = 1024;

/// Whether the tokenizer has about as many tokens as the model beside it has rows: the only sign of a list that was cut off
/// at the end of a line.
pub(crate) fn complete(dir: &Path, path: &Path, tokens: usize) -> Result<()> {
    let config = dir.join("config.json");
    let Some(config) = config.exists().then(|| parse::<Value>(&config).ok()).flatten() else {
        return Ok(());
    };
    let places = [
        "/text_config/vocab_size",
        "/vocab_size",
        "/bert_config/vocab_size",
    ];
    let rows = places.iter().find_map(|place| config.pointer(place)?.as_u64());
    match rows {
        Some(rows) if rows > (tokens + MOST_SPARE_ROWS) as u64 => Err(damaged(
            path,
            format!("it has {tokens} tokens, but config.json says {rows}"),
        )),
        _ => Ok(()),
    }
}

pub(crate) fn damaged(path: &Path, reason: impl ToString) -> TextError {
    TextError::Damaged {
        file: path.display().to_string(),
        reason: reason.to_string(),
    }
}

/// Puts the file's name into an error of code that saw only its bytes.
pub(crate) fn about(path: &Path, error: TextError) -> TextError {
    match error {
        TextError::Damaged { reason, .. } => damaged(path, reason),
        other => other,
    }
}

/// A whole file, if it is not too large.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let io = |source: io::Error| TextError::Io {
        file: path.to_path_buf(),
        source,
    };
    check_size(&path.display().to_string(), fs::metadata(path).map_err(io)?.len())?;
    ocellus_base::files::read(path, MAX_VOCABULARY_BYTES).map_err(io)
}

/// A whole file that must be UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|e| damaged(path, e))
}

/// A JSON file of a known form.
pub(crate) fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read(path)?).map_err(|e| damaged(path, e))
}

/// One line of merges.
pub(crate) fn merge(path: &Path, number: usize, line: &str) -> Result<(String, String)> {
    match line.split_once(' ') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() && !right.contains(' ') => {
            Ok((left.to_string(), right.to_string()))
        }
        _ => {
            let reason = format!("line {}: expected two pieces with a space between", number + 1);
            Err(damaged(path, reason))
        }
    }
}
