//! Blocks whose codes are places in a table of whole numbers.

use super::block::{Block, half};

/// Values of four bits that lie closer together near zero, with 128 added.
pub(super) const UNEVEN: [u8; 16] = [
    1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241,
];

/// Twice the floating-point values of four bits, with 128 added.
pub(super) const FP4: [u8; 16] = [
    128, 129, 130, 131, 132, 134, 136, 140, 128, 127, 126, 125, 124, 122, 120, 116,
];

pub(super) fn looked_up(table: &[u8; 16], values: &mut [u8]) {
    for value in values {
        *value = table[usize::from(*value & 15)];
    }
}

/// Eight scales of six bits: low halves in four bytes, two high bits each in the sixteen bits before.
pub(super) fn uneven_groups(b: &[u8], out: &mut Block) {
    let (d, high) = (half(b, 0), u16::from_le_bytes([b[2], b[3]]));
    for at in 0..8 {
        let low = b[4 + at / 2] >> (4 * (at % 2)) & 15;
        let scale = d * (f32::from(u16::from(low) | (high >> (2 * at) & 3) << 4) - 32.0);
        (out.scales[at], out.offsets[at]) = (scale, -128.0 * scale);
    }
}
