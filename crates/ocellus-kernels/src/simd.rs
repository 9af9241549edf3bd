//! One vector of `f32` lanes, whatever the processor calls it.
//!
//! A `Simd` is a token: for hardware instruction sets only [`crate::isa::Isa`] creates one, after detection, so its methods are
//! safe. Everything is `inline(always)`, so that the code is compiled inside the function that enables the features.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
pub(crate) mod reduce;
mod vector;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::Portable;
pub(crate) use vector::Simd;
