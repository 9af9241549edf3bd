//! Blocks of 32 elements with one scale.

use super::block::{Block, nibbles, signed};

/// Puts the bits of four bytes, in order, as bit 4 of 32 values.
fn fifth_bits_in_order(bytes: &[u8], values: &mut [u8]) {
    for (at, value) in values.iter_mut().enumerate() {
        *value |= (bytes[at / 8] >> (at % 8) & 1) << 4;
    }
}

/// Four bytes of fifth bits, then the others.
pub(super) fn five_bits(b: &[u8], out: &mut Block) {
    nibbles(&b[4..20], &mut out.values[..32]);
    fifth_bits_in_order(&b[..4], &mut out.values[..32]);
}

pub(super) fn q8_0(b: &[u8], out: &mut Block) {
    signed(&b[2..34], out);
}
