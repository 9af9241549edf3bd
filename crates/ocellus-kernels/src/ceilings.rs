//! Synthetic work that reaches the peak rates of this processor, for a caller with a clock to time.
//!
//! Speed is only good or bad beside a bound. [`Block::read`] does nothing but fetch memory, [`spin`] nothing but multiply and
//! add in registers; what real kernels reach is a share of these.

mod arithmetic;
mod reading;
mod registers;

pub use arithmetic::Arithmetic;
pub use reading::{Block, Pattern};
pub use registers::spin;
