//! What every other room may rely on: the bounds of inputs, bounded reads of files, files that appear whole, panics that are contained, the interface to time,
//! spans of work, and numbers of bytes as people read them.
//!
//! This crate depends on nothing but the standard library and holds no algorithm.

pub mod clock;
pub mod columns;
pub mod contained;
pub mod files;
pub mod limits;
pub mod markup;
pub mod trace;
pub mod unfinished;
pub mod units;

pub use clock::{Clock, ManualClock};
pub use contained::contained;
pub use limits::Limits;
pub use unfinished::Unfinished;
