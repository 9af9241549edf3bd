//! Losses on logits: cross-entropy.

mod cross_entropy;
mod softmax;
#[cfg(test)]
mod tests;

pub use cross_entropy::{cross_entropy, cross_entropy_backward};
