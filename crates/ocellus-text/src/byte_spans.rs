//! Names written as byte values: between two marks, ids are the UTF-8 bytes themselves, filled up to a fixed number.
//!
//! Published for picture addresses (arXiv:2308.12966 and its tokenizer): the model overwrites the places between the marks
//! with the picture's cells, so that there are as many as it has cells.

/// The marks of such a span and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteSpans {
    pub open: u32,
    pub close: u32,
    pub pad: u32,
    /// Ids between the marks, padding included.
    pub ids: usize,
}
