//! Ids to text, one id at a time, never half a character.

use std::ops::Deref;

use crate::byte_reader::ByteReader;
use crate::{Result, Special, Tokenizer};

/// Most ids that are held back while a character is incomplete. UTF-8 needs at most four.
const MAX_HELD_IDS: usize = 8;

/// Turns ids into text as they come. Everything that [`push`](Detokenizer::push) and [`finish`](Detokenizer::finish) return,
/// joined, is what [`Tokenizer::decode_with`] gives for all ids at once.
///
/// (One exception: decoders that fall back to single bytes treat invalid UTF-8 differently when they see more of it; text that
/// was already returned is not taken back.)
///
/// `T` is how it holds its tokenizer: by reference, or in an [`Arc`](std::sync::Arc).
pub struct Detokenizer<T> {
    tokenizer: T,
    special: Special,
    state: State,
}

enum State {
    /// Byte-level vocabularies: bytes of a character that is not complete yet.
    Bytes { reader: ByteReader, held: Vec<u8> },
    /// All others: a window of ids, of which the first `settled` were already returned as text and serve as context.
    Window { ids: Vec<u32>, settled: usize },
}

impl<T: Deref<Target = Tokenizer>> Detokenizer<T> {
    pub fn new(tokenizer: T, special: Special) -> Self {
        let state = if tokenizer.is_byte_level() {
            State::Bytes {
                reader: ByteReader::default(),
                held: Vec::new(),
            }
        } else {
            State::Window {
                ids: Vec::new(),
                settled: 0,
            }
        };
        Detokenizer {
            tokenizer,
            special,
            state,
        }
    }

    /// Takes one id; returns the text that became certain, if any.
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        let text = match &mut self.state {
            State::Bytes { reader, held } => {
                held.extend(reader.bytes(&self.tokenizer, id, self.special));
                take_complete(held)
            }
            // What stands for nothing is no part of the text's start, which decoders treat otherwise.
            State::Window { .. } if self.tokenizer.stands_for_nothing(id, self.special) => return Ok(None),
            State::Window { ids, settled } => {
                ids.push(id);
                let text = unreturned(&self.tokenizer, self.special, ids, *settled)?;
                let complete = !text.ends_with('\u{FFFD}') || ids.len() - *settled >= MAX_HELD_IDS;
                if !complete || text.is_empty() {
                    // Ids without text must not grow the window for ever.
                    if text.is_empty() && ids.len() - *settled >= MAX_HELD_IDS {
                        ids.drain(*settled..);
                    }
                    return Ok(None);
                }
                ids.drain(..*settled);
                *settled = ids.len();
                text
            }
        };
        Ok((!text.is_empty()).then_some(text))
    }

    /// Ends the text: returns what was held back, with U+FFFD for what never became a character.
    pub fn finish(self) -> Result<String> {
        match self.state {
            State::Bytes { held, .. } => Ok(String::from_utf8_lossy(&held).into_owned()),
            State::Window { ids, settled } => unreturned(&self.tokenizer, self.special, &ids, settled),
        }
    }
}

/// Splits off the text at the start of `held` that later bytes cannot change; at most three bytes stay.
fn take_complete(held: &mut Vec<u8>) -> String {
    let incomplete = match held.utf8_chunks().last() {
        // The last chunk's invalid bytes may be the start of a character; then nothing but more bytes are missing.
        Some(chunk) if std::str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none()) => {
            chunk.invalid().len()
        }
        _ => 0,
    };
    let rest = held.split_off(held.len() - incomplete);
    let complete = std::mem::replace(held, rest);
    String::from_utf8_lossy(&complete).into_owned()
}

/// The text of a window beyond that of its settled ids, which are decoded with it because they can change its start
/// (leading spaces, word joints).
fn unreturned(tokenizer: &Tokenizer, special: Special, ids: &[u32], settled: usize) -> Result<String> {
    let before = tokenizer.decode_with(&ids[..settled], special)?;
    let all = tokenizer.decode_with(ids, special)?;
    match all.strip_prefix(&before) {
        Some(text) => Ok(text.to_string()),
        None => tokenizer.decode_with(&ids[settled..], special),
    }
}

#[cfg(test)]
mod tests {
    use super::take_complete;

    #[test]
    fn only_the_start_of_a_character_is_held() {
        let cases: &[(&[u8], &str, usize)] = &[
            (b"abc", "abc", 0),
            (b"a\xE4", "a", 1),
            (b"a\xE4\xBD", "a", 2),
            ("a你".as_bytes(), "a你", 0),
            (b"\xF0\x9F\x98", "", 3),
            (b"\xFF", "\u{FFFD}", 0),
            (b"\xFFa\xC3", "\u{FFFD}a", 1),
            (b"\x80\x80", "\u{FFFD}\u{FFFD}", 0),
            (b"\xE4\xE4", "\u{FFFD}", 1),
            (b"\xC0", "\u{FFFD}", 0),
            (b"", "", 0),
        ];
        for (bytes, text, held) in cases {
            let mut left = bytes.to_vec();
            assert_eq!(
                (take_complete(&mut left).as_str(), left.len()),
                (*text, *held),
                "{bytes:?}"
            );
        }
    }
}
