//! Ids of a byte-level vocabulary to bytes, one at a time.

use crate::{Special, Tokenizer};

/// What earlier ids mean for later ones.
#[derive(Default)]
pub(crate) struct ByteReader {
    /// Inside a byte span, ids are bytes.
    inside: bool,
    /// The last token ended a word, so that a space belongs before the next one.
    word_ended: bool,
}

impl ByteReader {
    /// The bytes of the next id. A span is delimited by special tokens; its padding gives no bytes.
    pub(crate) fn bytes(&mut self, tokenizer: &Tokenizer, id: u32, special: Special) -> Vec<u8> {
        if let Some(spans) = tokenizer.spans {
            if self.inside && id == spans.pad {
                return Vec::new();
            }
            if id == spans.open || id == spans.close {
                self.inside = id == spans.open;
            } else if self.inside
                && let Ok(byte) = u8::try_from(id)
            {
                return vec![byte];
            }
        }
        let mut token = tokenizer.token_bytes(id, special);
        let Some(word_end) = tokenizer.word_end else {
            return token;
        };
        let ended = match token.strip_suffix(word_end.as_bytes()) {
            Some(word) => {
                token = word.to_vec();
                true
            }
            None => false,
        };
        if self.word_ended && !token.is_empty() {
            token.insert(0, b' ');
        }
        self.word_ended = ended || (self.word_ended && token.is_empty());
        token
    }
}
