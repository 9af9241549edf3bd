//! A byte-level vocabulary that comes as lists instead of a file of its own.

use crate::added::Added;
use crate::byte_pairs::{BytePairs, Form};
use crate::{Result, Tokenizer};
use std::collections::HashMap;
use tokenizers::AddedToken;

/// Everything that makes a byte-level BPE tokenizer.
#[derive(Clone, Debug, Default)]
pub struct ByteVocabulary<'a> {
    /// Tokens in the byte alphabet, with their ids.
    pub tokens: Vec<(&'a str, u32)>,
    /// Two tokens that become one, best first.
    pub merges: Vec<(&'a str, &'a str)>,
    /// Tokens that are found in text before it is cut into words, with their ids, and whether they are special ones.
    pub added: Vec<(&'a str, u32, bool)>,
    /// The regular expression that cuts text into words.
    pub pattern: &'a str,
    /// Whether text is brought to composed form (NFC) first.
    pub composed: bool,
    /// Whether a word that is a token is taken as it stands, before any merging.
    pub whole_words: bool,
}

impl Tokenizer {
    /// Builds the tokenizer of a vocabulary. A token that is listed twice, a merge of what are no tokens or a pattern that is
    /// no regular expression is an error.
    pub fn from_byte_vocabulary(vocabulary: ByteVocabulary<'_>) -> Result<Tokenizer> {
        let added = |&(content, id, special): &(&str, u32, bool)| Added {
            id,
            token: AddedToken::from(content.to_string(), special).normalized(false),
        };
        let mut tokens = HashMap::with_capacity(vocabulary.tokens.len());
        for (token, id) in &vocabulary.tokens {
            if let Some(other) = tokens.insert(token.to_string(), *id) {
                return Err(crate::byte_pairs::damaged(format!(
                    "the token `{token}` has the ids {other} and {id}"
                )));
            }
        }
        let merges = vocabulary.merges.iter();
        BytePairs {
            vocabulary: tokens,
            merges: merges
                .map(|(left, right)| (left.to_string(), right.to_string()))
                .collect(),
            added: vocabulary.added.iter().map(added).collect(),
        }
        .into_tokenizer(&Form {
            pattern: vocabulary.pattern,
            nfc: vocabulary.composed,
            whole_words: vocabulary.whole_words,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QWEN_PATTERN;

    fn vocabulary() -> ByteVocabulary<'static> {
        ByteVocabulary {
            tokens: vec![("a", 0), ("b", 1), ("Ġ", 2), ("ab", 3), ("Ġab", 4)],
            merges: vec![("a", "b"), ("Ġ", "ab")],
            added: vec![("<|end|>", 7, true), ("<call>", 5, false)],
            pattern: QWEN_PATTERN,
            composed: true,
            whole_words: false,
        }
    }

    #[test]
    fn text_goes_there_and_back() {
        let tokenizer = Tokenizer::from_byte_vocabulary(vocabulary()).unwrap();
        let ids = tokenizer.encode("ab ab<|end|>a<call>").unwrap();
        assert_eq!(ids, [3, 4, 7, 0, 5]);
        assert_eq!(tokenizer.decode(&ids).unwrap(), "ab aba<call>");
        assert!(tokenizer.is_special(7) && !tokenizer.is_special(5));
    }

    #[test]
    fn lists_that_do_not_fit_together() {
        type Change = fn(&mut ByteVocabulary<'static>);
        let cases: [(&str, Change, &str); 4] = [
            (
                "a token twice",
                |v| v.tokens.push(("a", 6)),
                "the token `a` has the ids 0 and 6",
            ),
            ("a merge of no tokens", |v| v.merges.push(("a", "x")), "damaged"),
            (
                "an id twice",
                |v| v.added.push(("<other>", 1, true)),
                "belongs to `b`",
            ),
            ("a pattern", |v| v.pattern = "(", "damaged"),
        ];
        for (what, change, expected) in cases {
            let mut vocabulary = vocabulary();
            change(&mut vocabulary);
            let error = Tokenizer::from_byte_vocabulary(vocabulary)
                .map(drop)
                .expect_err(what)
                .to_string();
            assert!(error.contains(expected), "{what}: {error}");
        }
    }
}
