//! Softmax attention over packed sequences of different lengths, with grouped key-value heads.
//!
//! `q` and `out` are `[q_tokens, heads, head_dim]`, `k` and `v` `[k_tokens, kv_heads, head_dim]`, the log-sum-exp of each
//! row's scaled scores `[q_tokens, heads]`. Query head `h` reads key-value head `h / (heads / kv_heads)`.
//!
//! Keys are processed in order from the start of their segment, with one chain of multiply-adds per output, so the bits of a row
//! depend only on its own query and the keys that it attends to: not on other rows, other segments or threads.

mod backward;
mod blocks;
mod bytes;
mod flash;
mod forward;
mod pages;
mod rows;
mod scratch;
mod shape;
#[cfg(test)]
mod tests;

pub use backward::{Gradients, Saved, backward};
pub use blocks::{KvBlocks, KvWidth};
pub use forward::{BlockSegment, forward, forward_blocks};
pub use pages::BLOCK;
pub use shape::{Segment, Shape};
