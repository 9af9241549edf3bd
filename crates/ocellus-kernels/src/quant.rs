//! Matrices with weights of 8, 6 or 4 bits, and products with them.
//!
//! A weight is `scale * q + offset` with `q` unsigned and one scale (and, below 8 bits, one offset) for a group of weights that
//! follow one another along K. Rows of activations are rounded to 8 bits on the way, with one scale for the same groups, so
//! that a large activation spoils its own group alone. Products inside a group are whole numbers and exact; groups are
//! added in rising order as
//!
//! ```text
//! sum = fma(f32(Σ q·a), scale·activation scale, sum)
//! sum = fma(offset, activation scale · Σ a, sum)        (where there are offsets)
//! ```
//!
//! which is the same on every instruction set, and depends on no other row: not on M, nor on how work was cut.

mod activation;
mod bytes;
mod format;
mod packed;
mod product;
mod quantize;
mod round_trip;
#[cfg(test)]
mod tests;
mod tile;
mod unpack;

pub use bytes::Bytes;
pub use format::{Bits, Format, PANEL};
pub use packed::{PackedQ, PackedQError, Panel};
pub(crate) use product::{Seed, with_rounded};
pub use round_trip::quantize_rows;
