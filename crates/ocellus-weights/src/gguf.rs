//! GGUF files: one header with typed metadata and a table of tensors, then their data, aligned.
//!
//! Versions 2 and 3, little-endian, are read. As with the other formats everything is checked once, when a file is opened,
//! against the length of the whole file; metadata stay in the file and are parsed on access. What
//! a key or a name means is not known here.

mod header;
mod metadata;
mod reader;
mod types;

pub use metadata::Metadata;

pub(crate) use header::{MAGIC, parse};
