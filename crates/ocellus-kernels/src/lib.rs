//! Numeric kernels: slices and dimensions in, slices out.
//!
//! Nothing here knows about tensors of any library, models or files. Every operation is deterministic, and the
//! result of one row never depends on the other rows of the call or on the number of threads, bit for bit.
//! Work is spread over one pool of threads (see [`use_threads`]); inside [`alone`] everything runs on the calling thread.

pub mod activation;
pub mod adam;
pub mod attention;
pub mod ceilings;
pub mod gemm;
pub mod isa;
pub mod loss;
pub mod matrix;
mod memory;
pub mod norm;
mod parallel;
pub mod pointwise;
pub mod quant;
pub mod rope;
mod simd;
#[cfg(test)]
mod testing;

pub use gemm::{Mat, PackedB, Precision, gemm, gemm_packed};
pub use matrix::{Gated, Matrix, gated};
pub use memory::unset;
pub use parallel::{alone, pin_threads, use_threads};
