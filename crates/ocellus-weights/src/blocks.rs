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

use crate::{Dtype, Grouped, minifloat};
use half::f16;

/// Most elements of a block.
const MOST: usize = 256;
/// Most groups of a block.
const MOST_GROUPS: usize = 16;

/// One block, unpacked. Of the arrays, as much is used as the type has.
struct Block {
    values: [u8; MOST],
    scales: [f32; MOST_GROUPS],
    offsets: [f32; MOST_GROUPS],
}

impl Block {
    const EMPTY: Self = Self {
        values: [0; MOST],
        scales: [0.0; MOST_GROUPS],
        offsets: [0.0; MOST_GROUPS],
    };
}

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

fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// Low halves of `packed` first, then high halves.
fn nibbles(packed: &[u8], out: &mut [u8]) {
    let (low, high) = out.split_at_mut(packed.len());
    for ((byte, low), high) in packed.iter().zip(low).zip(high) {
        (*low, *high) = (byte & 15, byte >> 4);
    }
}

/// Puts bit `bit` of each byte as bit 4 of each value.
fn fifth_bits(bytes: &[u8], bit: usize, values: &mut [u8]) {
    for (byte, value) in bytes.iter().zip(values) {
        *value |= (byte >> bit & 1) << 4;
    }
}

/// Puts the bits of four bytes, in order, as bit 4 of 32 values.
fn fifth_bits_in_order(bytes: &[u8], values: &mut [u8]) {
    for (at, value) in values.iter_mut().enumerate() {
        *value |= (bytes[at / 8] >> (at % 8) & 1) << 4;
    }
}

/// One scale, with `MIDDLE` for zero.
fn centred<const MIDDLE: u8>(b: &[u8], out: &mut Block) {
    scaled_by(half(b, 0), MIDDLE, out);
}

fn scaled_by(scale: f32, middle: u8, out: &mut Block) {
    (out.scales[0], out.offsets[0]) = (scale, -f32::from(middle) * scale);
}

fn f32_at(b: &[u8], at: usize) -> f32 {
    f32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

/// One scale and one offset.
fn offset(b: &[u8], out: &mut Block) {
    (out.scales[0], out.offsets[0]) = (half(b, 0), half(b, 2));
}

/// Four bytes of fifth bits, then the others.
fn five_bits(b: &[u8], out: &mut Block) {
    nibbles(&b[4..20], &mut out.values[..32]);
    fifth_bits_in_order(&b[..4], &mut out.values[..32]);
}

fn q8_0(b: &[u8], out: &mut Block) {
    signed(&b[2..34], out);
}

/// From -128..128 to 0..256.
fn signed(bytes: &[u8], out: &mut Block) {
    for (value, byte) in out.values.iter_mut().zip(bytes) {
        *value = byte ^ 0x80;
    }
}

/// Values of four bits that lie closer together near zero, with 128 added.
const UNEVEN: [u8; 16] = [
    1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241,
];
/// Twice the floating-point values of four bits, with 128 added.
const FP4: [u8; 16] = [
    128, 129, 130, 131, 132, 134, 136, 140, 128, 127, 126, 125, 124, 122, 120, 116,
];

fn looked_up(table: &[u8; 16], values: &mut [u8]) {
    for value in values {
        *value = table[usize::from(*value & 15)];
    }
}

/// 32 bytes hold quarters of 32 values of two bits, the first in the lowest bits.
fn crumbs(packed: &[u8], values: &mut [u8]) {
    for (packed, values) in packed.chunks_exact(32).zip(values.chunks_exact_mut(128)) {
        for (quarter, values) in values.chunks_exact_mut(32).enumerate() {
            for (byte, value) in packed.iter().zip(values) {
                *value = byte >> (2 * quarter) & 3;
            }
        }
    }
}

/// Sixteen scales in the low halves of bytes, offsets in the high halves, the factors of both at the end.
fn two_bit_groups(b: &[u8], out: &mut Block) {
    let (d, m) = (half(b, 80), half(b, 82));
    for (at, byte) in b[..16].iter().enumerate() {
        out.scales[at] = d * f32::from(byte & 15);
        out.offsets[at] = -(m * f32::from(byte >> 4));
    }
}

/// Sixteen scales of six bits: eight bytes hold the low halves of the first and the last eight, four the two high bits of every
/// fourth.
fn three_bit_groups(b: &[u8], out: &mut Block) {
    let (packed, d) = (&b[96..108], half(b, 108));
    for at in 0..16 {
        let low = packed[at % 8] >> (4 * (at / 8)) & 15;
        let high = packed[8 + at % 4] >> (2 * (at / 4)) & 3;
        let scale = d * (f32::from(low | high << 4) - 32.0);
        (out.scales[at], out.offsets[at]) = (scale, -4.0 * scale);
    }
}

fn q3_k(b: &[u8], out: &mut Block) {
    crumbs(&b[32..96], &mut out.values);
    for (part, values) in out.values.chunks_exact_mut(32).enumerate() {
        for (byte, value) in b[..32].iter().zip(values) {
            *value |= (byte >> part & 1) << 2;
        }
    }
}

/// Eight scales of six bits: low halves in four bytes, two high bits each in the sixteen bits before.
fn uneven_groups(b: &[u8], out: &mut Block) {
    let (d, high) = (half(b, 0), u16::from_le_bytes([b[2], b[3]]));
    for at in 0..8 {
        let low = b[4 + at / 2] >> (4 * (at % 2)) & 15;
        let scale = d * (f32::from(u16::from(low) | (high >> (2 * at) & 3) << 4) - 32.0);
        (out.scales[at], out.offsets[at]) = (scale, -128.0 * scale);
    }
}

/// Eight scales and eight offsets of six bits in twelve bytes: four bytes hold the low bits of the first four scales, four of
/// the first four offsets, both with two high bits of the last four on top; four hold the low halves of the last four.
fn six_bits(packed: &[u8], at: usize) -> (u8, u8) {
    if at < 4 {
        return (packed[at] & 63, packed[at + 4] & 63);
    }
    let low = packed[at + 4];
    (
        low & 15 | packed[at - 4] >> 6 << 4,
        low >> 4 | packed[at] >> 6 << 4,
    )
}

/// Factors at the start of a block of 256, and its scales behind them.
fn eight_groups(b: &[u8], out: &mut Block) {
    let (d, m) = (half(b, 0), half(b, 2));
    for at in 0..8 {
        let (scale, offset) = six_bits(&b[4..16], at);
        out.scales[at] = d * f32::from(scale);
        out.offsets[at] = -(m * f32::from(offset));
    }
}

/// 32 bytes hold two groups: low halves, then high halves.
fn pairs_of_groups(packed: &[u8], values: &mut [u8]) {
    for (packed, values) in packed.chunks_exact(32).zip(values.chunks_exact_mut(64)) {
        nibbles(packed, values);
    }
}

fn q5_k(b: &[u8], out: &mut Block) {
    pairs_of_groups(&b[48..176], &mut out.values);
    for (group, values) in out.values.chunks_exact_mut(32).enumerate() {
        fifth_bits(&b[16..48], group, values);
    }
}

/// Sixteen scales behind everything else, and the factor behind them.
fn sixteen_groups(b: &[u8], out: &mut Block) {
    let (scales, d) = (&b[192..208], half(b, 208));
    for (at, scale) in scales.iter().enumerate() {
        let scale = d * f32::from(i8::from_le_bytes([*scale]));
        (out.scales[at], out.offsets[at]) = (scale, -32.0 * scale);
    }
}

fn q6_k(b: &[u8], out: &mut Block) {
    let (low, high) = (&b[..128], &b[128..192]);
    // 64 bytes of low halves and 32 of pairs of high bits make 128 values, in quarters of 32.
    for (half, values) in out.values.chunks_exact_mut(128).enumerate() {
        let (low, high) = (&low[64 * half..][..64], &high[32 * half..][..32]);
        nibbles(low, values);
        for (quarter, values) in values.chunks_exact_mut(32).enumerate() {
            for (byte, value) in high.iter().zip(values) {
                *value |= (byte >> (2 * quarter) & 3) << 4;
            }
        }
    }
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
