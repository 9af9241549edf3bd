//! What samples look like while a training goes on.

/// How long and how difficult samples are at one time of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curriculum {
    /// Samples have at least this many characters, unless they would not fit into `max_cells`.
    pub min_chars: usize,
    /// At most this many characters.
    pub max_chars: usize,
    /// At most this many visual tokens of 28 px.
    pub max_cells: usize,
    /// 0: clean print of 20 px and more; 1: everything from 9 px on, 40 % of it clean.
    pub difficulty: f32,
}
