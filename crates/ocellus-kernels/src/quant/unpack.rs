//! Unpacking quads of weights, on every instruction set.

use super::format::{Bits, PANEL};

/// Bytes of an unpacked quad of a panel, and of the bits that it is unpacked from.
pub(super) const QUAD: usize = 4 * PANEL;

/// Byte offsets of the bits of quad `quad` in a group: of its low part, and of its upper two bits.
#[inline(always)]
pub(super) fn places(bits: Bits, quad: usize) -> (usize, usize) {
    match bits {
        Bits::Eight => (quad * QUAD, 0),
        Bits::Four => (quad / 2 * QUAD, 0),
        Bits::Six => {
            let unit = quad / 4 * 3 * QUAD;
            (unit + quad % 4 / 2 * QUAD, unit + 2 * QUAD)
        }
    }
}
