//! Ids to text.

use crate::byte_reader::ByteReader;
use crate::detokenizer::Detokenizer;
use crate::special::Special;
use crate::{Result, TextError, Tokenizer};
use ocellus_base::contained;

impl Tokenizer {
    /// Text of `ids` without special tokens. Ids outside the vocabulary, which models with padded tables can produce,
    /// stand for nothing; bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.decode_with(ids, Special::Skip)
    }

    /// As [`decode`](Tokenizer::decode), with a choice about special tokens.
    pub fn decode_with(&self, ids: &[u32], special: Special) -> Result<String> {
        if self.spans.is_some() || self.word_end.is_some() {
            let mut reader = ByteReader::default();
            let bytes: Vec<u8> = ids
                .iter()
                .flat_map(|id| reader.bytes(self, *id, special))
                .collect();
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
        let text = contained(|| self.inner.decode(ids, special == Special::Skip));
        let text = text.ok_or_else(|| TextError::Decode {
            reason: "the tokenizer's file contradicts itself".to_string(),
        })?;
        text.map_err(|e| TextError::Decode {
            reason: e.to_string(),
        })
    }

    /// A decoder for ids that come one at a time.
    pub fn detokenizer(&self, special: Special) -> Detokenizer<&Self> {
        Detokenizer::new(self, special)
    }
}
