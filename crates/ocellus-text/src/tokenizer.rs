//! Text to ids and back.

use crate::byte_spans::ByteSpans;
use crate::special::Special;
use crate::{Result, TextError, byte_alphabet, tokenizer_check};
use ocellus_base::contained;
use ocellus_base::limits::{MERGING_BYTES, TOKEN_BYTES, VOCABULARY_ADDED, VOCABULARY_TOKENS};
use tokenizers::DecoderWrapper;

/// Longest text that is encoded at once.
pub const MAX_TEXT_BYTES: usize = ocellus_base::limits::TEXT_BYTES;
/// Longest vocabulary, merge or tokenizer file.
pub const MAX_VOCABULARY_BYTES: u64 = ocellus_base::limits::VOCABULARY_BYTES;

/// A tokenizer of any published kind; see [`Tokenizer::from_dir`], [`from_json`](Tokenizer::from_json) and
/// [`from_ranks`](Tokenizer::from_ranks).
pub struct Tokenizer {
    pub(crate) inner: tokenizers::Tokenizer,
    vocab_size: usize,
    byte_level: bool,
    /// Where text is written as byte values.
    pub(crate) spans: Option<ByteSpans>,
    /// What the vocabulary writes behind the last piece of a word.
    pub(crate) word_end: Option<&'static str>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json` that is already in memory. Truncation and padding that it may ask for are not applied.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Tokenizer> {
        let json = json.as_ref();
        check_size("tokenizer.json", json.len() as u64)?;
        let damaged = |reason: String| TextError::Damaged {
            file: "tokenizer.json".to_string(),
            reason,
        };
        tokenizer_check::check(json).map_err(damaged)?;
        // The library panics on some contradictions.
        let read = contained(|| tokenizers::Tokenizer::from_bytes(json));
        let read = read.ok_or_else(|| damaged("it contradicts itself".to_string()))?;
        Tokenizer::new(read.map_err(|e| damaged(e.to_string()))?)
    }

    pub(crate) fn new(mut inner: tokenizers::Tokenizer) -> Result<Tokenizer> {
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| TextError::Damaged {
            file: "tokenizer".to_string(),
            reason: e.to_string(),
        })?;
        let vocab_size = inner
            .get_vocab(true)
            .values()
            .max()
            .map_or(0, |id| *id as usize + 1);
        // Ids may have gaps; tables are as long as the largest.
        if vocab_size > VOCABULARY_TOKENS {
            return Err(TextError::Damaged {
                file: "tokenizer".to_string(),
                reason: format!(
                    "it has the id {}, more than the {VOCABULARY_TOKENS} that are accepted",
                    vocab_size - 1
                ),
            });
        }
        let byte_level = matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_)));
        Ok(Tokenizer {
            inner,
            vocab_size,
            byte_level,
            spans: None,
            word_end: None,
        })
    }

    /// Ids of `text`. Special tokens in it are recognised; none is added at its ends. For text that a user typed see
    /// [`encode_plain`](Tokenizer::encode_plain).
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.check_text(text)?;
        let encoding = contained(|| self.inner.encode_fast(text, false)).ok_or_else(panicked)?;
        let encoding = encoding.map_err(|e| TextError::Encode {
            reason: e.to_string(),
        })?;
        match self.spans {
            Some(spans) => self.write_spans(spans, encoding.get_ids()),
            None => Ok(encoding.get_ids().to_vec()),
        }
    }

    pub(crate) fn check_text(&self, text: &str) -> Result<()> {
        if text.len() > MAX_TEXT_BYTES {
            let (found, limit) = (text.len() as u64, MAX_TEXT_BYTES as u64);
            return Err(TextError::TooLarge {
                what: "the text to encode".to_string(),
                found,
                limit,
            });
        }
        Ok(())
    }

    /// The characters that are tokens by themselves, sorted.
    pub fn single_characters(&self) -> Vec<char> {
        let tokens = (0..self.vocab_size() as u32)
            .filter(|id| !self.is_special(*id))
            .filter_map(|id| self.token(id));
        let mut all: Vec<char> = tokens
            .filter_map(|token| {
                let mut chars = token.chars();
                chars.next().filter(|_| chars.next().is_none())
            })
            .collect();
        all.sort_unstable();
        all
    }

    /// The id of a token, given as the vocabulary writes it.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token of an id, as the vocabulary writes it.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Whether `id` is a special token.
    pub fn is_special(&self, id: u32) -> bool {
        self.inner
            .get_added_vocabulary()
            .get_added_tokens_decoder()
            .get(&id)
            .is_some_and(|token| token.special)
    }

    /// Whether decoding passes over `id`: there is no such token, or it is special and skipped.
    pub(crate) fn stands_for_nothing(&self, id: u32, special: Special) -> bool {
        self.token(id).is_none() || (special == Special::Skip && self.is_special(id))
    }

    /// One more than the largest id, added tokens included. A model's table may be larger.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Whether ids stand for bytes, so that [`token_bytes`](Tokenizer::token_bytes) says all about them.
    pub(crate) fn is_byte_level(&self) -> bool {
        self.byte_level
    }

    /// The bytes of a token of a byte-level vocabulary, by the rule of the decoder in use: a token with a character outside
    /// the byte alphabet (some added tokens) stands for itself.
    pub(crate) fn token_bytes(&self, id: u32, special: Special) -> Vec<u8> {
        let vocabulary = self.inner.get_added_vocabulary();
        let added = vocabulary.simple_id_to_token(id);
        let Some(token) = added.or_else(|| self.inner.id_to_token(id)) else {
            return Vec::new();
        };
        if special == Special::Skip && vocabulary.is_special_token(&token) {
            return Vec::new();
        }
        match token.chars().map(byte_alphabet::to_byte).collect() {
            Some(bytes) => bytes,
            None => token.into_bytes(),
        }
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer({} ids)", self.vocab_size)
    }
}

/// What encoding gives where the library panics: its file contradicts itself in a way that only use shows.
pub(crate) fn panicked() -> TextError {
    TextError::Encode {
        reason: "the tokenizer's file contradicts itself".to_string(),
    }
}

/// Fails with a sentence where a vocabulary has more tokens than are accepted.
pub(crate) fn check_tokens(found: usize) -> std::result::Result<(), String> {
    if found > VOCABULARY_TOKENS {
        return Err(format!(
            "{found} tokens are more than the {VOCABULARY_TOKENS} that are accepted"
        ));
    }
    Ok(())
}

/// The same of tokens beside the pieces of a vocabulary.
pub(crate) fn check_added(found: usize) -> std::result::Result<(), String> {
    if found > VOCABULARY_ADDED {
        return Err(format!(
            "{found} added tokens are more than the {VOCABULARY_ADDED} that are accepted"
        ));
    }
    Ok(())
}

/// The same of the lengths of tokens whose merges are found by looking at each cut of each of them.
pub(crate) fn check_merging(lengths: impl Iterator<Item = usize>) -> std::result::Result<(), String> {
    let mut looked_at = 0usize;
    for found in lengths {
        if found > TOKEN_BYTES {
            return Err(format!(
                "a token has {found} bytes, more than the {TOKEN_BYTES} that are accepted"
            ));
        }
        looked_at += found * found;
        if looked_at > MERGING_BYTES {
            return Err("its tokens are too many for their lengths".to_string());
        }
    }
    Ok(())
}

pub(crate) fn check_size(what: &str, found: u64) -> Result<()> {
    if found > MAX_VOCABULARY_BYTES {
        return Err(TextError::TooLarge {
            what: what.to_string(),
            found,
            limit: MAX_VOCABULARY_BYTES,
        });
    }
    Ok(())
}
