//! Matrices that checkpoints publish in a few bits a weight: a file for each layout, which says by which tensors it is told and how
//! these make a [`QuantisedMatrix`].

mod affine;
mod awq;
mod bitsandbytes;
mod codes;
mod fp4;
mod gptq;
mod grouping;
mod layout;
mod matrix;
mod packed;
mod parts;
mod registry;
mod scaled;
mod scheme;

pub(crate) use layout::Layout;
pub use matrix::QuantisedMatrix;
pub(crate) use parts::{Part, Parts};
pub(crate) use registry::layouts;
pub use scheme::{Scheme, Words};
