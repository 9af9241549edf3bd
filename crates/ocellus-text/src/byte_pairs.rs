//! Byte-level BPE: a vocabulary in the byte alphabet and the merges that lead to it, best first.

use crate::added::{Added, claim};
use crate::{Result, TextError, Tokenizer};
use std::collections::HashMap;
use tokenizers::SplitDelimiterBehavior;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::{PreTokenizerWrapper, sequence::Sequence};

/// How text is cut into words before byte pairs are merged: GPT-2's published pattern.
pub(crate) const GPT2_PATTERN: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Settings that a vocabulary with merges does not contain.
pub(crate) struct Form<'p> {
    /// Cuts text into words; what it does not match is a word too.
    pub pattern: &'p str,
    /// Whether text is brought to composed form (NFC) first.
    pub nfc: bool,
    /// Whether a word that is a token is taken as it stands, before any merging: the rule for rank files.
    pub whole_words: bool,
}

/// A byte-level vocabulary.
pub(crate) struct BytePairs {
    pub vocabulary: HashMap<String, u32>,
    pub merges: Vec<(String, String)>,
    pub added: Vec<Added>,
}

impl BytePairs {
    pub(crate) fn into_tokenizer(mut self, form: &Form<'_>) -> Result<Tokenizer> {
        claim(&mut self.vocabulary, &self.added)?;
        let model = BPE::builder()
            .vocab_and_merges(self.vocabulary.into_iter().collect::<Vocab>(), self.merges)
            .ignore_merges(form.whole_words)
            .build()
            .map_err(damaged)?;
        let mut inner = tokenizers::Tokenizer::new(model);
        if form.nfc {
            inner.with_normalizer(Some(NFC)).map_err(damaged)?;
        }
        let pattern = SplitPattern::Regex(form.pattern.to_string());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(damaged)?;
        inner.with_pre_tokenizer(Some(Sequence::new(vec![
            PreTokenizerWrapper::Split(split),
            PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, false)),
        ])));
        inner.with_decoder(Some(ByteLevel::new(false, false, false)));
        inner
            .add_tokens(self.added.into_iter().map(|a| a.token))
            .map_err(damaged)?;
        Tokenizer::new(inner)
    }
}

/// A vocabulary that does not fit together. The caller that knows the file puts its name in.
pub(crate) fn damaged(reason: impl ToString) -> TextError {
    TextError::Damaged {
        file: "byte-level vocabulary".to_string(),
        reason: reason.to_string(),
    }
}
