//! What every other room may rely on: the bounds of inputs, and the interface to time.
//!
//! This crate depends on nothing but the standard library and holds no algorithm.

pub mod clock;
pub mod limits;

pub use clock::{Clock, ManualClock};
pub use limits::Limits;
