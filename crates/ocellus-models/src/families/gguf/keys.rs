//! Metadata of a GGUF file, with a check that no key which changes the computation goes unread.

use super::error::GgufError;
use ocellus_weights::gguf::Metadata;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The metadata of a file; records which keys were read.
pub(super) struct Keys<'a> {
    metadata: &'a Metadata,
    read: RefCell<BTreeSet<String>>,
}

/// Keys below an architecture's name that do not change the computation: how the file was made, the vocabulary size (also given
/// by the embedding table), and constants of the families.
const HARMLESS: &[&str] = &[
    "vocab_size",
    "has_vision_encoder",
    "has_text_encoder",
    "has_llava_projector",
    "has_qwen2vl_merger",
    "use_glu_mlp",
    "use_rms_norm",
    // The epsilon of the language model's norms; the tower's is a constant of its family.
    "vision.attention.layer_norm_epsilon",
    "vision.feed_forward_length",
    "vision.mm_patch_merge_type",
];

impl<'a> Keys<'a> {
    pub fn new(metadata: &'a Metadata) -> Self {
        Self {
            metadata,
            read: RefCell::default(),
        }
    }

    /// The file's name for error messages.
    pub fn file(&self) -> String {
        self.metadata.file().to_owned()
    }

    fn seen(&self, key: &str) -> &'a Metadata {
        self.read.borrow_mut().insert(key.to_owned());
        self.metadata
    }

    pub fn missing(&self, key: &str) -> GgufError {
        GgufError::Missing {
            file: self.file(),
            key: key.to_owned(),
        }
    }

    pub fn wrong(&self, key: &str, expected: impl ToString, found: impl ToString) -> GgufError {
        GgufError::Value {
            file: self.file(),
            key: key.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    pub fn text_or(&self, key: &str) -> Result<Option<&'a str>, GgufError> {
        Ok(self.seen(key).text(key)?)
    }

    pub fn text(&self, key: &str) -> Result<&'a str, GgufError> {
        self.text_or(key)?.ok_or_else(|| self.missing(key))
    }

    pub fn size_or(&self, key: &str) -> Result<Option<u64>, GgufError> {
        Ok(self.seen(key).size(key)?)
    }

    pub fn size(&self, key: &str) -> Result<u64, GgufError> {
        self.size_or(key)?.ok_or_else(|| self.missing(key))
    }

    pub fn number_or(&self, key: &str) -> Result<Option<f64>, GgufError> {
        Ok(self.seen(key).number(key)?)
    }

    pub fn number(&self, key: &str) -> Result<f64, GgufError> {
        self.number_or(key)?.ok_or_else(|| self.missing(key))
    }

    pub fn flag(&self, key: &str) -> Result<bool, GgufError> {
        Ok(self.seen(key).flag(key)?.unwrap_or(false))
    }

    pub fn texts(&self, key: &str) -> Result<Vec<&'a str>, GgufError> {
        self.seen(key).texts(key)?.ok_or_else(|| self.missing(key))
    }

    pub fn integers(&self, key: &str) -> Result<Vec<i64>, GgufError> {
        self.seen(key).integers(key)?.ok_or_else(|| self.missing(key))
    }

    pub fn numbers(&self, key: &str) -> Result<Vec<f64>, GgufError> {
        self.seen(key).numbers(key)?.ok_or_else(|| self.missing(key))
    }

    pub fn flags_or(&self, key: &str) -> Result<Option<Vec<bool>>, GgufError> {
        Ok(self.seen(key).flags(key)?)
    }

    /// Fails unless `key` is absent or equals `expected`.
    pub fn only(&self, key: &str, expected: u64) -> Result<(), GgufError> {
        match self.size_or(key)? {
            Some(found) if found != expected => Err(self.wrong(key, expected, found)),
            _ => Ok(()),
        }
    }

    /// Fails when a key below `kind.` was not read and may change the computation.
    pub fn finish(&self, kind: &str) -> Result<(), GgufError> {
        let read = self.read.borrow();
        let unknown = self.metadata.keys().find(|key| {
            let own = key.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.'));
            own.is_some_and(|own| !read.contains(*key) && !HARMLESS.contains(&own))
        });
        match unknown {
            None => Ok(()),
            Some(key) => Err(GgufError::Unread {
                file: self.file(),
                key: key.to_owned(),
                kind: kind.to_owned(),
            }),
        }
    }
}
