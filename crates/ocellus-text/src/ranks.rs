//! Rank files: byte-level BPE as a list of byte strings, best merge first.
//!
//! A line is the base64 of a token's bytes, a space and its rank, which is also its id. The merges are not in the file but
//! follow from it: a token is the merge of the two pieces that remain when its bytes are merged by all better ranks.

use crate::{Result, TextError, Tokenizer, byte_alphabet};
use base64::Engine as _;
use std::collections::HashMap;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::{PreTokenizerWrapper, sequence::Sequence};
use tokenizers::{AddedToken, SplitDelimiterBehavior};

/// How the Qwen tokenizers cut text into words before byte-pair encoding: contractions, letters with one leading symbol,
/// single digits, runs of symbols, line ends, white space.
pub const QWEN_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Longest token of a rank file, in bytes.
const MAX_TOKEN_BYTES: usize = 1024;

impl Tokenizer {
    /// Builds the Qwen tokenizer from a rank file and its special tokens (text and id): NFC, [`QWEN_PATTERN`], byte-level BPE.
    pub fn from_ranks(bytes: &[u8], special: &[(String, u32)]) -> Result<Tokenizer> {
        crate::tokenizer::check_size("the rank file", bytes.len() as u64)?;
        let ranks = parse(bytes)?;
        let merges = merges(&ranks);
        let vocabulary = ranks
            .into_iter()
            .map(|(token, rank)| (byte_alphabet::to_chars(&token), rank))
            .collect();
        byte_level_bpe(
            vocabulary,
            merges,
            true,
            special
                .iter()
                .map(|(token, id)| Added::special(token, *id))
                .collect(),
        )
    }
}

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

/// The Qwen2 way to use a byte-level vocabulary. With `whole_words`, a word that is a token is taken as it stands, before
/// any merging: the rule for rank files.
pub(crate) fn byte_level_bpe(
    mut vocabulary: HashMap<String, u32>,
    merges: Vec<(String, String)>,
    whole_words: bool,
    added: Vec<Added>,
) -> Result<Tokenizer> {
    let mut owner: HashMap<u32, String> = vocabulary
        .iter()
        .map(|(token, id)| (*id, token.clone()))
        .collect();
    for Added { id, token } in &added {
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
        // With its id in the base vocabulary, the added token keeps that id, whatever gaps there are before it.
        if let Some(other) = vocabulary
            .insert(content.clone(), *id)
            .filter(|other| other != id)
        {
            return Err(special_token(format!("disagrees with the vocabulary's {other}")));
        }
    }
    let damaged = |reason: String| TextError::Damaged {
        file: "byte-level vocabulary".to_string(),
        reason,
    };
    let model = BPE::builder()
        .vocab_and_merges(
            vocabulary.into_iter().collect::<tokenizers::models::bpe::Vocab>(),
            merges,
        )
        .ignore_merges(whole_words)
        .build()
        .map_err(|e| damaged(e.to_string()))?;
    let mut inner = tokenizers::Tokenizer::new(model);
    inner
        .with_normalizer(Some(NFC))
        .map_err(|e| damaged(e.to_string()))?;
    let pattern = SplitPattern::Regex(QWEN_PATTERN.to_string());
    let split =
        Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|e| damaged(e.to_string()))?;
    inner.with_pre_tokenizer(Some(Sequence::new(vec![
        PreTokenizerWrapper::Split(split),
        PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, false)),
    ])));
    inner.with_decoder(Some(ByteLevel::new(false, false, false)));
    inner
        .add_tokens(added.into_iter().map(|a| a.token))
        .map_err(|e| damaged(e.to_string()))?;
    Tokenizer::new(inner)
}

type Ranks = HashMap<Vec<u8>, u32>;

fn parse(bytes: &[u8]) -> Result<Ranks> {
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
