//! Synthetic work that reaches the peak rates of this processor, for a caller with a clock to time.
//!
//! A speed is meaningful only in relation to a bound. [`Block::read`] only reads memory, [`spin`] only multiplies and adds in
//! registers; the speed of real kernels is given as a share of these.

mod arithmetic;
mod reading;
mod registers;

pub use arithmetic::Arithmetic;
pub use reading::{Block, Pattern};
pub use registers::spin;
