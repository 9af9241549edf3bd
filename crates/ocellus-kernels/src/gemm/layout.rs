//! The contents of a packed word, and the order of words in blocks and panels.

use super::operands::Mat;

/// Words of K in one block: a panel of `b` with this depth fills about a first-level cache.
pub(super) const BLOCK_DEPTH: usize = 1024;
/// Rows of `a` in one block, a multiple of every tile height and of the vector width.
pub(super) const BLOCK_ROWS: usize = 144;

/// The contents of a packed 32-bit word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    /// One `f32`.
    F32,
    /// One `f32` rounded to bfloat16 precision; for rows of `a` only.
    RoundedF32,
    /// Two bfloat16 values adjacent along K, the first in the low half.
    Bf16Pair,
}

/// The instruction set used for packing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Packer {
    Portable,
    /// Chosen only where an `Isa` proves AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Chosen only where an `Isa` proves AVX-512 (and BF16, for pairs).
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// One cache line; blocks are made of these so that panels are aligned.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line([u32; 16]);

impl Line {
    pub const ZERO: Self = Self([0; 16]);
}

/// A block of packed `a`: the address of its first word and the strides in its own words.
#[derive(Clone, Copy)]
pub(crate) struct PackedA {
    pub words: *const u32,
    pub row: usize,
    pub depth: usize,
}

/// Address and strides of a matrix whose bounds were checked.
#[derive(Clone, Copy)]
pub(crate) struct Strided {
    pub data: *const f32,
    pub row: usize,
    pub col: usize,
}

impl Strided {
    pub fn new(mat: &Mat) -> Self {
        Self {
            data: mat.data.as_ptr(),
            row: mat.row_stride,
            col: mat.col_stride,
        }
    }
}

/// Values of K in one word.
pub(crate) fn values_per_word(encoding: Encoding) -> usize {
    if encoding == Encoding::Bf16Pair { 2 } else { 1 }
}

/// Words that `k` values take.
pub(crate) fn words(encoding: Encoding, k: usize) -> usize {
    k.div_ceil(values_per_word(encoding))
}

/// Grows `block` to hold `words` words and gives its address.
pub(crate) fn room(block: &mut Vec<Line>, words: usize) -> *mut u32 {
    let lines = words.div_ceil(16);
    if block.len() < lines {
        block.resize(lines, Line::ZERO);
    }
    block.as_mut_ptr().cast()
}

/// The upper half of `x` rounded to nearest even; NaN stays NaN.
#[inline(always)]
pub(super) fn bf16_bits(x: f32) -> u32 {
    let bits = x.to_bits();
    if x.is_nan() {
        (bits >> 16) | 0x40
    } else {
        (bits + 0x7fff + ((bits >> 16) & 1)) >> 16
    }
}

/// Source of a packing copy: values along K for every lane (a row of `a`, or a column of `b`).
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub data: *const f32,
    /// Strides from lane to lane, and from one value of K to the next.
    pub lane_stride: usize,
    pub k_stride: usize,
    pub lanes: usize,
    /// Number of values along K.
    pub k: usize,
}

/// Destination of a [`Run`]: `out[word * word_stride + lane * lane_stride]`.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub out: *mut u32,
    pub lane_stride: usize,
    pub word_stride: usize,
}
