//! Quads of weights out of their bits, on every instruction set.

use super::format::{Bits, PANEL};

/// Bytes of one quad of a panel, and of what holds its bits.
pub(super) const QUAD: usize = 4 * PANEL;

/// Where the bits of quad `quad` of a group begin: of its low part, and of its upper two bits.
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
