//! What the tests of every room share. Nothing here reaches a user, so everything may panic: a panic *is* the answer.
//!
//! - [`test_each`] runs a table of cases and names the one that fails;
//! - [`mod@compare`] puts two slices side by side: largest difference, cosine, the first element that is out of tolerance;
//! - [`mod@case`] reads the golden cases under `tests/goldens`;
//! - [`mod@gguf`] builds files of that format, or changes some;
//! - [`mod@random`] gives the same random vectors on every machine;
//! - [`mod@finite`] checks a gradient against central differences.
//!
//! Slices in, numbers out: this crate knows no tensor library, so every room can use it as a dev-dependency.

pub mod case;
pub mod compare;
pub mod finite;
pub mod gguf;
pub mod random;
mod table;

pub use case::{Case, Tensor, Tolerance, Values};
pub use compare::{Comparison, assert_close, compare};
pub use random::Random;
pub use table::test_each;
