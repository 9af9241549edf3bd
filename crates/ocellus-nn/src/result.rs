//! The result type of layers and operations.

/// The result of a forward pass: candle's own error, since a forward pass fails only on a bug or on memory.
pub type Result<T> = candle_core::Result<T>;
