//! What every other room may rely on: the bounds of inputs, the interface to time, and spans of work.
//!
//! This crate depends on nothing but the standard library and holds no algorithm.

pub mod clock;
pub mod limits;
pub mod trace;

pub use clock::{Clock, ManualClock};
pub use limits::Limits;
