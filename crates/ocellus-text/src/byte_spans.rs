//! Names written as byte values: between two special tokens, ids are the UTF-8 bytes themselves, filled up to a fixed number.
//!
//! Published for picture addresses (arXiv:2308.12966 and its tokenizer): the model overwrites the places between those tokens
//! with the picture's visual tokens, so that there are as many places as visual tokens.

/// The special tokens around such a span and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteSpans {
    pub open: u32,
    pub close: u32,
    pub pad: u32,
    /// Ids between the special tokens, padding included.
    pub ids: usize,
}
