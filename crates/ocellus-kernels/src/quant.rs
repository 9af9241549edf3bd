//! Quantised weight matrices of 8, 6 or 4 bits, and products with them.
//!
//! A weight is `scale * q + offset` with unsigned `q`, and one scale (and, below 8 bits, one offset) per group of weights that
//! are adjacent along K. Rows of activations are quantised to 8 bits during the product, with one scale for the same groups, so
//! that an outlier affects only its own group. Products inside a group are exact integer arithmetic; groups are added in
//! ascending order as
//!
//! ```text
//! sum = fma(f32(Σ q·a), scale·activation scale, sum)
//! sum = fma(offset, activation scale · Σ a, sum)        (where there are offsets)
//! ```
//!
//! This is the same on every instruction set and independent of other rows: of M, and of how work was divided.

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
