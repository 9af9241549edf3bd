//! Blocks of quantised types, unpacked into unsigned values and what they are scaled by.
//!
//! A block of 32 elements has one scale; one of 256 has a scale for every 32 or 16 of them, as small integers that share a
//! factor. The published layouts, all numbers little-endian, `d` and `m` halves:
//!
//! | type | bytes | weight |
//! |---|---|---|
//! | Q4_0 | `d`, 16 × two values | `d · (q - 8)` |
//! | Q4_1 | `d`, `m`, 16 × two values | `d · q + m` |
//! | Q5_0 | `d`, 32 fifth bits, 16 × two values | `d · (q - 16)` |
//! | Q5_1 | `d`, `m`, 32 fifth bits, 16 × two values | `d · q + m` |
//! | Q8_0 | `d`, 32 signed values | `d · q` |
//! | Q4_K | `d`, `m`, 12 of scales, 128 × two values | `d · s · q - m · t` |
//! | Q5_K | `d`, `m`, 12 of scales, 32 of fifth bits, 128 × two values | `d · s · q - m · t` |
//! | Q6_K | 128 × four low bits twice, 64 of high bits, 16 signed scales, `d` | `d · s · (q - 32)` |
//! | Q2_K | 16 scales and offsets of four bits, 64 × four values, `d`, `m` | `d · s · q - m · t` |
//! | Q3_K | 32 of high bits, 64 × four low bits, 12 of scales, `d` | `d · s · (q - 4)` |
//! | Q8_K | `d` as f32, 256 signed values, 16 sums | `d · q` |
//! | IQ4_NL | `d`, 16 × two places in a table | `d · table[q]` |
//! | IQ4_XS | `d`, 2 of high and 4 of low bits of scales, 128 × two places | `d · s · table[q]` |
//! | MXFP4 | `d` as a power of two, 16 × two places in another table | `d · table[q]` |
//!
//! Every product of a scale is exact in f32, but in Q8_K: a half has 11 bits, a small scale at most 7, a value at most 8.

mod block;
mod large;
mod small;
mod tables;

use crate::{Dtype, Grouped, minifloat};
use block::{Block, centred, f32_at, nibbles, offset, scaled_by, signed};
use large::{
    crumbs, eight_groups, pairs_of_groups, q3_k, q5_k, q6_k, sixteen_groups, three_bit_groups, two_bit_groups,
};
use small::{five_bits, q8_0};
use tables::{FP4, UNEVEN, looked_up, uneven_groups};

/// How a type's blocks are unpacked.
struct BlockLayout {
    /// Elements that share scale and offset.
    group: usize,
    bits: u8,
    /// Unpacks scales and offsets.
    numbers: Unpack,
    values: Unpack,
}

type Unpack = fn(&[u8], &mut Block);

fn layout(dtype: Dtype) -> Option<BlockLayout> {
    let (group, bits, numbers, values): (_, _, Unpack, Unpack) = match dtype {
        Dtype::Q4_0 => (32, 4, centred::<8>, |b, out| {
            nibbles(&b[2..18], &mut out.values[..32])
        }),
        Dtype::Q4_1 => (32, 4, offset, |b, out| nibbles(&b[4..20], &mut out.values[..32])),
        Dtype::Q5_0 => (32, 5, centred::<16>, |b, out| five_bits(&b[2..22], out)),
        Dtype::Q5_1 => (32, 5, offset, |b, out| five_bits(&b[4..24], out)),
        Dtype::Q8_0 => (32, 8, centred::<128>, q8_0),
        Dtype::Q4K => (32, 4, eight_groups, |b, out| {
            pairs_of_groups(&b[16..144], &mut out.values);
        }),
        Dtype::Q5K => (32, 5, eight_groups, q5_k),
        Dtype::Q6K => (16, 6, sixteen_groups, q6_k),
        Dtype::Q2K => (16, 2, two_bit_groups, |b, out| {
            crumbs(&b[16..80], &mut out.values)
        }),
        Dtype::Q3K => (16, 3, three_bit_groups, q3_k),
        Dtype::Q8K => (
            256,
            8,
            |b, out| scaled_by(f32_at(b, 0), 128, out),
            |b, out| signed(&b[4..260], out),
        ),
        Dtype::Iq4Nl => (32, 8, centred::<128>, |b, out| {
            nibbles(&b[2..18], &mut out.values[..32]);
            looked_up(&UNEVEN, &mut out.values[..32]);
        }),
        Dtype::Iq4Xs => (32, 8, uneven_groups, |b, out| {
            for (packed, values) in b[8..136].chunks_exact(16).zip(out.values.chunks_exact_mut(32)) {
                nibbles(packed, values);
            }
            looked_up(&UNEVEN, &mut out.values);
        }),
        Dtype::Mxfp4 => (
            32,
            8,
            |b, out| scaled_by(minifloat::e8m0(b[0]) / 2.0, 128, out),
            |b, out| {
                nibbles(&b[1..17], &mut out.values[..32]);
                looked_up(&FP4, &mut out.values[..32]);
            },
        ),
        _ => return None,
    };
    Some(BlockLayout {
        group,
        bits,
        numbers,
        values,
    })
}

/// The weights of whole blocks of `dtype`; `None` for a plain type.
pub(crate) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let layout = layout(dtype)?;
    let (elements, size) = (dtype.block_elements(), dtype.size_bytes());
    let mut out = Vec::with_capacity(bytes.len() / size * elements);
    let mut block = Block::EMPTY;
    for packed in bytes.chunks_exact(size) {
        (layout.numbers)(packed, &mut block);
        (layout.values)(packed, &mut block);
        for (at, values) in block.values[..elements].chunks_exact(layout.group).enumerate() {
            let (scale, offset) = (block.scales[at], block.offsets[at]);
            match layout.bits {
                // Values of 8 bits have their zero in the middle. Less that, products with a scale of many bits are rounded once.
                8 => out.extend(values.iter().map(|&value| scale * (f32::from(value) - 128.0))),
                _ => out.extend(values.iter().map(|&value| scale * f32::from(value) + offset)),
            }
        }
    }
    Some(out)
}

/// Rows of `cols` elements each; `None` for a plain type.
pub(crate) fn grouped(dtype: Dtype, bytes: &[u8], rows: usize, cols: usize) -> Option<Grouped> {
    let layout = layout(dtype)?;
    let (elements, groups) = (dtype.block_elements(), dtype.block_elements() / layout.group);
    let count = rows * cols;
    let mut out = Grouped {
        rows,
        cols,
        group: layout.group,
        bits: layout.bits,
        values: Vec::with_capacity(count),
        scales: Vec::with_capacity(count / layout.group),
        offsets: Vec::with_capacity(count / layout.group),
    };
    let mut block = Block::EMPTY;
    for packed in bytes.chunks_exact(dtype.size_bytes()) {
        (layout.numbers)(packed, &mut block);
        (layout.values)(packed, &mut block);
        out.values.extend_from_slice(&block.values[..elements]);
        out.scales.extend_from_slice(&block.scales[..groups]);
        out.offsets.extend_from_slice(&block.offsets[..groups]);
    }
    Some(out)
}

/// The largest scale or offset in size of whole blocks; `None` for a plain type.
pub(crate) fn largest(dtype: Dtype, bytes: &[u8]) -> Option<f32> {
    let layout = layout(dtype)?;
    let groups = dtype.block_elements() / layout.group;
    let mut block = Block::EMPTY;
    let mut most = 0.0_f32;
    for packed in bytes.chunks_exact(dtype.size_bytes()) {
        (layout.numbers)(packed, &mut block);
        let numbers = block.scales[..groups].iter().chain(&block.offsets[..groups]);
        most = numbers.fold(most, |most, number| most.max(number.abs()));
    }
    Some(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_is_that_of_the_groups() {
        let all = [
            Dtype::Q4_0,
            Dtype::Q4_1,
            Dtype::Q5_0,
            Dtype::Q5_1,
            Dtype::Q8_0,
            Dtype::Q4K,
            Dtype::Q5K,
            Dtype::Q6K,
            Dtype::Q2K,
            Dtype::Q3K,
            Dtype::Iq4Nl,
            Dtype::Iq4Xs,
        ];
        for dtype in all {
            let blocks = 7;
            // Below 0x7c in every byte, so that no half is infinite.
            let bytes: Vec<u8> = (0..blocks * dtype.size_bytes())
                .map(|i| (i * 37 % 0x7b) as u8)
                .collect();
            let grouped = grouped(dtype, &bytes, 1, blocks * dtype.block_elements()).unwrap();
            let numbers = grouped.scales.iter().chain(&grouped.offsets);
            let most = numbers.fold(0.0_f32, |most, number| most.max(number.abs()));
            assert!(most > 0.0 && most.is_finite());
            assert_eq!(largest(dtype, &bytes), Some(most), "{dtype}");
        }
        assert_eq!(largest(Dtype::F32, &[0; 4]), None);
    }
}
