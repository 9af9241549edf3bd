//! One block of a quantised type, unpacked, and the pieces that several types are made of.

use half::f16;

/// Most elements of a block.
const MOST: usize = 256;

/// Most groups of a block.
const MOST_GROUPS: usize = 16;

/// One block, unpacked. Of the arrays, as much is used as the type has.
pub(super) struct Block {
    pub(super) values: [u8; MOST],
    pub(super) scales: [f32; MOST_GROUPS],
    pub(super) offsets: [f32; MOST_GROUPS],
}

impl Block {
    pub(super) const EMPTY: Self = Self {
        values: [0; MOST],
        scales: [0.0; MOST_GROUPS],
        offsets: [0.0; MOST_GROUPS],
    };
}

pub(super) fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// Low halves of `packed` first, then high halves.
pub(super) fn nibbles(packed: &[u8], out: &mut [u8]) {
    let (low, high) = out.split_at_mut(packed.len());
    for ((byte, low), high) in packed.iter().zip(low).zip(high) {
        (*low, *high) = (byte & 15, byte >> 4);
    }
}

/// One scale, with `MIDDLE` for zero.
pub(super) fn centred<const MIDDLE: u8>(b: &[u8], out: &mut Block) {
    scaled_by(half(b, 0), MIDDLE, out);
}

pub(super) fn scaled_by(scale: f32, middle: u8, out: &mut Block) {
    (out.scales[0], out.offsets[0]) = (scale, -f32::from(middle) * scale);
}

pub(super) fn f32_at(b: &[u8], at: usize) -> f32 {
    f32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

/// One scale and one offset.
pub(super) fn offset(b: &[u8], out: &mut Block) {
    (out.scales[0], out.offsets[0]) = (half(b, 0), half(b, 2));
}

/// From -128..128 to 0..256.
pub(super) fn signed(bytes: &[u8], out: &mut Block) {
    for (value, byte) in out.values.iter_mut().zip(bytes) {
        *value = byte ^ 0x80;
    }
}
