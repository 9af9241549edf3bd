//! Blocks of 256 elements, with small scales that share a factor.

use super::block::{Block, half, nibbles};

/// Puts bit `bit` of each byte as bit 4 of each value.
fn fifth_bits(bytes: &[u8], bit: usize, values: &mut [u8]) {
    for (byte, value) in bytes.iter().zip(values) {
        *value |= (byte >> bit & 1) << 4;
    }
}

/// 32 bytes hold quarters of 32 values of two bits, the first in the lowest bits.
pub(super) fn crumbs(packed: &[u8], values: &mut [u8]) {
    for (packed, values) in packed.chunks_exact(32).zip(values.chunks_exact_mut(128)) {
        for (quarter, values) in values.chunks_exact_mut(32).enumerate() {
            for (byte, value) in packed.iter().zip(values) {
                *value = byte >> (2 * quarter) & 3;
            }
        }
    }
}

/// Sixteen scales in the low halves of bytes, offsets in the high halves, the factors of both at the end.
pub(super) fn two_bit_groups(b: &[u8], out: &mut Block) {
    let (d, m) = (half(b, 80), half(b, 82));
    for (at, byte) in b[..16].iter().enumerate() {
        out.scales[at] = d * f32::from(byte & 15);
        out.offsets[at] = -(m * f32::from(byte >> 4));
    }
}

/// Sixteen scales of six bits: eight bytes hold the low halves of the first and the last eight, four the two high bits of every
/// fourth.
pub(super) fn three_bit_groups(b: &[u8], out: &mut Block) {
    let (packed, d) = (&b[96..108], half(b, 108));
    for at in 0..16 {
        let low = packed[at % 8] >> (4 * (at / 8)) & 15;
        let high = packed[8 + at % 4] >> (2 * (at / 4)) & 3;
        let scale = d * (f32::from(low | high << 4) - 32.0);
        (out.scales[at], out.offsets[at]) = (scale, -4.0 * scale);
    }
}

pub(super) fn q3_k(b: &[u8], out: &mut Block) {
    crumbs(&b[32..96], &mut out.values);
    for (part, values) in out.values.chunks_exact_mut(32).enumerate() {
        for (byte, value) in b[..32].iter().zip(values) {
            *value |= (byte >> part & 1) << 2;
        }
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
pub(super) fn eight_groups(b: &[u8], out: &mut Block) {
    let (d, m) = (half(b, 0), half(b, 2));
    for at in 0..8 {
        let (scale, offset) = six_bits(&b[4..16], at);
        out.scales[at] = d * f32::from(scale);
        out.offsets[at] = -(m * f32::from(offset));
    }
}

/// 32 bytes hold two groups: low halves, then high halves.
pub(super) fn pairs_of_groups(packed: &[u8], values: &mut [u8]) {
    for (packed, values) in packed.chunks_exact(32).zip(values.chunks_exact_mut(64)) {
        nibbles(packed, values);
    }
}

pub(super) fn q5_k(b: &[u8], out: &mut Block) {
    pairs_of_groups(&b[48..176], &mut out.values);
    for (group, values) in out.values.chunks_exact_mut(32).enumerate() {
        fifth_bits(&b[16..48], group, values);
    }
}

/// Sixteen scales behind everything else, and the factor behind them.
pub(super) fn sixteen_groups(b: &[u8], out: &mut Block) {
    let (scales, d) = (&b[192..208], half(b, 208));
    for (at, scale) in scales.iter().enumerate() {
        let scale = d * f32::from(i8::from_le_bytes([*scale]));
        (out.scales[at], out.offsets[at]) = (scale, -32.0 * scale);
    }
}

pub(super) fn q6_k(b: &[u8], out: &mut Block) {
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
