//! What is asked of a measurement.

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Tokens of the prompt beside those of the picture.
    pub prompt_tokens: usize,
    /// Tokens to generate.
    pub tokens: usize,
    pub runs: usize,
}
