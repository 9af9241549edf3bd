//! Kinds of arithmetic.

/// Independent chains of operations.
pub(super) const CHAINS: usize = 12;

/// What is multiplied and added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `f32` multiply-add.
    F32,
    /// Pairs of bf16 values multiplied and added to an `f32`.
    Bf16,
    /// Groups of four bytes multiplied and added to an `i32`.
    Int8,
}
