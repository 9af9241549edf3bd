//! Rank files: byte-level BPE as a list of byte strings, best merge first.
//!
//! A line is the base64 of a token's bytes, a space and its rank, which is also its id. The merges are not in the file but
//! follow from it: a token is the merge of the two pieces that remain when its bytes are merged by all better ranks.

use crate::added::Added;
use crate::byte_pairs::{BytePairs, Form};
use crate::tokenizer::check_merging;
use crate::{Result, TextError, Tokenizer, byte_alphabet};
use base64::Engine as _;
use std::collections::HashMap;

/// How the Qwen tokenizers cut text into words before byte-pair encoding: contractions, letters with one leading symbol,
/// single digits, runs of symbols, line ends, white space.
pub const QWEN_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Longest token of a rank file, in bytes.
pub(crate) const MAX_TOKEN_BYTES: usize = ocellus_base::limits::TOKEN_BYTES;

impl Tokenizer {
    /// Builds the Qwen tokenizer from a rank file and its special tokens (text and id): NFC, [`QWEN_PATTERN`], byte-level BPE.
    pub fn from_ranks(bytes: &[u8], special: &[(String, u32)]) -> Result<Tokenizer> {
        crate::tokenizer::check_size("the rank file", bytes.len() as u64)?;
        let form = Form {
            pattern: QWEN_PATTERN,
            nfc: true,
            whole_words: true,
        };
        let special = special.iter().map(|(token, id)| Added::special(token, *id));
        let lines = bytes.split(|byte| *byte == b'\n').count();
        crate::tokenizer::check_tokens(lines).map_err(|reason| TextError::RankSet { reason })?;
        by_ranks(parse(bytes)?, 0, &form, special.collect())
    }
}

/// A byte-level tokenizer whose ids are the ranks plus `first`.
pub(crate) fn by_ranks(ranks: Ranks, first: u32, form: &Form<'_>, added: Vec<Added>) -> Result<Tokenizer> {
    check_merging(ranks.keys().map(Vec::len)).map_err(|reason| TextError::RankSet { reason })?;
    let merges = merges(&ranks);
    let vocabulary = ranks
        .into_iter()
        .map(|(token, rank)| (byte_alphabet::to_chars(&token), first.saturating_add(rank)))
        .collect();
    BytePairs {
        vocabulary,
        merges,
        added,
    }
    .into_tokenizer(form)
}

/// Ids of a picture's address in the published picture model.
pub(crate) const SPAN_IDS: usize = 256;

/// Special tokens that the publisher's code adds to a rank file, whose ids follow the ranks: ends and turns, spares, marks of
/// objects, boxes and pictures.
pub(crate) fn with_pictures(ranks: &[u8]) -> Vec<(String, u32)> {
    let lines = ranks.split(|byte| *byte == b'\n');
    let first = lines.filter(|line| !line.trim_ascii().is_empty()).count() as u32;
    let turns = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
    let marks = [
        "<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>", "<imgpad>",
    ];
    let spares = (0..205).map(|n| format!("<|extra_{n}|>"));
    let names = turns.map(String::from).into_iter().chain(spares);
    names.chain(marks.map(String::from)).zip(first..).collect()
}

/// Tokens with their ranks.
pub(crate) type Ranks = HashMap<Vec<u8>, u32>;

pub(crate) fn parse(bytes: &[u8]) -> Result<Ranks> {
    let mut ranks = Ranks::new();
    let mut ids = std::collections::HashSet::new();
    for (number, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let damaged = |reason: String| TextError::Ranks {
            line: number + 1,
            reason,
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let text = std::str::from_utf8(line).map_err(|e| damaged(e.to_string()))?;
        let Some((token, rank)) = text.split_once(' ') else {
            return Err(damaged(
                "expected a token in base64, a space and a rank".to_string(),
            ));
        };
        let token = base64::engine::general_purpose::STANDARD
            .decode(token)
            .map_err(|e| damaged(format!("the token is not base64: {e}")))?;
        let rank: u32 = rank.parse().map_err(|e| damaged(format!("rank `{rank}`: {e}")))?;
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
            return Err(damaged(format!(
                "a token of {} bytes, expected 1 to {MAX_TOKEN_BYTES}",
                token.len()
            )));
        }
        if !ids.insert(rank) {
            return Err(damaged(format!("rank {rank} is given twice")));
        }
        if ranks.insert(token, rank).is_some() {
            return Err(damaged("the token is given twice".to_string()));
        }
    }
    match (0..=255u8).find(|byte| !ranks.contains_key(&[*byte][..])) {
        Some(byte) => Err(TextError::RankSet {
            reason: format!("the single byte {byte:#04x} has no rank"),
        }),
        None => Ok(ranks),
    }
}

/// The merges behind `ranks`, best first, in the byte alphabet. A token that no merge reaches gives none.
fn merges(ranks: &Ranks) -> Vec<(String, String)> {
    let mut ranked: Vec<(&[u8], u32)> = ranks
        .iter()
        .filter(|(token, _)| token.len() > 1)
        .map(|(token, rank)| (&token[..], *rank))
        .collect();
    ranked.sort_by_key(|(_, rank)| *rank);
    ranked
        .into_iter()
        .filter_map(|(token, rank)| {
            let at = last_cut(token, rank, ranks)?;
            Some((
                byte_alphabet::to_chars(&token[..at]),
                byte_alphabet::to_chars(&token[at..]),
            ))
        })
        .collect()
}

/// Merges the bytes of `token` by ranks better than its own; where the last two pieces meet.
fn last_cut(token: &[u8], rank: u32, ranks: &Ranks) -> Option<usize> {
    let mut cuts: Vec<usize> = (0..=token.len()).collect();
    loop {
        let best = (1..cuts.len() - 1)
            .filter_map(|i| Some((*ranks.get(&token[cuts[i - 1]..cuts[i + 1]])?, i)))
            .min()
            .filter(|(found, _)| *found < rank);
        match best {
            Some((_, i)) => cuts.remove(i),
            None => break,
        };
    }
    match cuts[..] {
        [_, at, _] => Some(at),
        _ => None,
    }
}
