//! Checkpoints in GGUF: the language model in one file (or its shards), the vision tower in a second file.
//!
//! GGUF files have their own tensor names, store some tensors in another order, and keep sizes, vocabulary and chat template in
//! metadata. This module converts all of it: tensors get the names that families load, and metadata becomes the config and
//! preprocessor files that families read. So a family does not know the format of its checkpoint.
//!
//! Three config values are absent from these files and are taken from the published models: the window of a windowed tower (112
//! px), the time steps per second of video, and the bounds of a picture's area.

mod assemble;
mod error;
mod keys;
mod llava;
mod names;
mod parts;
mod qwen;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use assemble::{Assembled, assemble};
pub use error::GgufError;
