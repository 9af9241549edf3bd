//! Models as they circulate in GGUF: the language model in one file (or its shards), the vision tower in another one beside it.
//!
//! Such files name tensors in their own way, order some of them differently, and keep sizes, vocabulary and template in their
//! metadata. What stands here undoes that: it gives the tensors the names that families load, and makes of the metadata the
//! config and the preprocessing that families read, so that no family knows where its checkpoint came from.
//!
//! Three things that configs hold have no place in these files and are the published models': the window of a windowed tower
//! (112 px), the seconds that a step in time stands for, and the bounds of a picture's area.

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
