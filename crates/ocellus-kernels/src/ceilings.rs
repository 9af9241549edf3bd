//! What this processor can do at most: work without a purpose, to be timed by whoever has a clock.
//!
//! Speed is only good or bad beside a bound. [`Block::read`] does nothing but fetch memory, [`spin`] nothing but multiply and
//! add in registers; what real kernels reach is a share of these.

mod arithmetic;
mod reading;
mod registers;

pub use arithmetic::Arithmetic;
pub use reading::{Block, Pattern};
pub use registers::spin;
