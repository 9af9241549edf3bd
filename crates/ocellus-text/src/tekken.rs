//! `tekken.json`: byte-level BPE by ranks, with its split pattern and special tokens in one JSON file.
//!
//! Ids are the special tokens first, then the ranks. Of the ranks, only as many are used as the vocabulary size leaves room for.

use crate::added::Added;
use crate::byte_pairs::Form;
use crate::ranks::{MAX_TOKEN_BYTES, Ranks, by_ranks};
use crate::tokenizer::check_size;
use crate::{Result, TextError, Tokenizer};
use base64::Engine as _;
use serde::Deserialize;

/// What a `tekken.json` holds.
#[derive(Debug)]
pub struct Tekken {
    pub tokenizer: Tokenizer,
    /// How pictures become visual tokens, where the file says so.
    pub images: Option<TekkenImages>,
}

/// The `image` entry of the file (older name: `multimodal`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct TekkenImages {
    /// Side of a patch, in pixels.
    pub image_patch_size: u32,
    /// Longest side of a picture, in pixels; larger ones are made smaller.
    pub max_image_size: u32,
    /// Patches along each side of a visual token.
    #[serde(default = "one")]
    pub spatial_merge_size: u32,
}

fn one() -> u32 {
    1
}

/// Special tokens of files that do not list them, in the order of their ids.
const SPECIAL: [&str; 20] = [
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
];

/// Most special tokens of one file.
const MAX_SPECIAL: u32 = 1 << 16;

#[derive(Deserialize)]
struct File {
    config: FileConfig,
    vocab: Vec<Entry>,
    special_tokens: Option<Vec<SpecialEntry>>,
    #[serde(alias = "multimodal")]
    image: Option<TekkenImages>,
}

#[derive(Deserialize)]
struct FileConfig {
    pattern: String,
    default_vocab_size: u32,
    default_num_special_tokens: u32,
}

#[derive(Deserialize)]
struct Entry {
    rank: u32,
    token_bytes: String,
}

#[derive(Deserialize)]
struct SpecialEntry {
    rank: u32,
    token_str: String,
}

impl Tekken {
    /// Reads a `tekken.json` that is already in memory.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Tekken> {
        let json = json.as_ref();
        check_size("tekken.json", json.len() as u64)?;
        let file: File = serde_json::from_slice(json).map_err(damaged)?;
        let first = file.config.default_num_special_tokens;
        let added = special(file.special_tokens, first)?;
        let form = Form {
            pattern: &file.config.pattern,
            nfc: false,
            whole_words: true,
        };
        let ranks = ranks(&file.vocab, file.config.default_vocab_size, first)?;
        let tokenizer = by_ranks(ranks, first, &form, added).map_err(|error| match error {
            TextError::Damaged { reason, .. } => damaged(reason),
            other => other,
        })?;
        Ok(Tekken {
            tokenizer,
            images: file.image,
        })
    }

    /// Whether these bytes are meant as such a file rather than as a `tokenizer.json`.
    pub fn is_meant(json: &[u8]) -> bool {
        std::str::from_utf8(json).is_ok_and(|json| json.contains("\"default_num_special_tokens\""))
    }
}

/// The `count` special tokens: those listed, then fillers.
fn special(listed: Option<Vec<SpecialEntry>>, count: u32) -> Result<Vec<Added>> {
    let listed = listed.unwrap_or_else(|| {
        let entry = |(rank, token): (u32, &&str)| SpecialEntry {
            rank,
            token_str: (*token).to_string(),
        };
        (0..).zip(&SPECIAL).map(entry).collect()
    });
    if count > MAX_SPECIAL || listed.len() > count as usize {
        return Err(damaged(format!(
            "default_num_special_tokens is {count}, expected {} to {MAX_SPECIAL}",
            listed.len()
        )));
    }
    let fillers = (listed.len() as u32..count).map(|id| Added::special(&format!("<SPECIAL_{id}>"), id));
    let fillers: Vec<Added> = fillers.collect();
    let mut added = Vec::with_capacity(count as usize);
    for entry in listed {
        if entry.rank >= count {
            return Err(damaged(format!(
                "the special token `{}` has rank {}, expected less than {count}",
                entry.token_str, entry.rank
            )));
        }
        added.push(Added::special(&entry.token_str, entry.rank));
    }
    added.extend(fillers);
    Ok(added)
}

/// The ranks in use, which must be in order and begin with the single bytes.
fn ranks(entries: &[Entry], size: u32, special: u32) -> Result<Ranks> {
    let used = size.checked_sub(special).map(|used| used as usize);
    let used = used
        .filter(|used| (256..=entries.len()).contains(used))
        .ok_or_else(|| {
            damaged(format!(
                "a vocabulary of {size} with {special} special tokens, but {} entries",
                entries.len()
            ))
        })?;
    let mut ranks = Ranks::with_capacity(used);
    for (rank, entry) in (0..).zip(&entries[..used]) {
        let about = |reason: String| damaged(format!("entry {rank} of `vocab`: {reason}"));
        if entry.rank != rank {
            return Err(about(format!("rank {}", entry.rank)));
        }
        let token = base64::engine::general_purpose::STANDARD
            .decode(&entry.token_bytes)
            .map_err(|e| about(format!("token_bytes is not base64: {e}")))?;
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
            let found = token.len();
            return Err(about(format!("{found} bytes, expected 1 to {MAX_TOKEN_BYTES}")));
        }
        if u8::try_from(rank).is_ok_and(|byte| token != [byte]) {
            return Err(about("expected the single byte of that value".to_string()));
        }
        if ranks.insert(token, rank).is_some() {
            return Err(about("the token is given twice".to_string()));
        }
    }
    Ok(ranks)
}

fn damaged(reason: impl ToString) -> TextError {
    TextError::Damaged {
        file: "tekken.json".to_string(),
        reason: reason.to_string(),
    }
}
