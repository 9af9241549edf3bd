//! Special tokens on the way from ids to text.

/// What happens to special tokens (`<|im_end|>` and the like) when ids become text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Special {
    #[default]
    Skip,
    Keep,
}
