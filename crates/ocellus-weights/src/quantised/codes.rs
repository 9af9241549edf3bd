//! Where the codes of a matrix lie in the bytes of its tensor.

use std::ops::Range;

/// How codes are packed. Bits are taken from the lowest of the first byte on, where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codes {
    /// A byte each, row after row.
    Bytes,
    /// The same, signed: from -128..128 to 0..256.
    Signed,
    /// A stream of bits for each output, `stride` bytes apart.
    Rows { bits: u8, stride: usize },
    /// Words of 32 bits for each output, each with as many whole codes as it holds.
    RowWords { bits: u8, words: usize },
    /// A stream of bits for each output, whose words of 32 bits stand below one another: `[words, outputs]`.
    Columns { bits: u8 },
    /// Words of eight codes of 4 bits along outputs, `[inputs, outputs / 8]`, in which outputs 0, 2, 4, 6, 1, 3, 5, 7 lie from the
    /// lowest bits on.
    Outputs,
    /// Four outputs interleaved over runs of 64 inputs, for kernels that read them so.
    Interleaved,
    /// Two codes of 4 bits in a byte, row after row without a break, the first in the high half.
    HighFirst,
}

/// In which place of a word along outputs each of its eight outputs stands.
pub(super) const PLACE: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

impl Codes {
    /// Bytes of a matrix `[outputs, inputs]`; `None` where such a matrix cannot be packed like this.
    pub fn bytes(self, [outputs, inputs]: [usize; 2]) -> Option<usize> {
        match self {
            Self::Bytes | Self::Signed => outputs.checked_mul(inputs),
            Self::Rows { bits, stride } => {
                let fits = inputs.checked_mul(bits.into())?.div_ceil(8) <= stride;
                outputs.checked_mul(stride).filter(|_| fits)
            }
            Self::RowWords { bits, words } => {
                let fits = inputs.div_ceil(32 / usize::from(bits)) <= words;
                outputs.checked_mul(words)?.checked_mul(4).filter(|_| fits)
            }
            Self::Columns { bits } => {
                let words = inputs.checked_mul(bits.into())?.div_ceil(32);
                words.checked_mul(outputs)?.checked_mul(4)
            }
            Self::Outputs => inputs
                .checked_mul(outputs.checked_mul(4)? / 8)
                .filter(|_| outputs.is_multiple_of(8)),
            Self::Interleaved => {
                let fits = outputs.is_multiple_of(4) && inputs.is_multiple_of(64);
                (outputs / 4).checked_mul(inputs)?.checked_mul(2).filter(|_| fits)
            }
            Self::HighFirst => Some(outputs.checked_mul(inputs)?.div_ceil(2)),
        }
    }

    /// The codes of some outputs, `[rows, inputs]`.
    ///
    /// # Panics
    /// When `data` is shorter than [`bytes`](Self::bytes) says.
    pub fn unpack(self, data: &[u8], [outputs, inputs]: [usize; 2], rows: Range<usize>) -> Vec<u8> {
        let mut out = vec![0; rows.len() * inputs];
        let each = rows.clone().zip(out.chunks_exact_mut(inputs.max(1)));
        match self {
            Self::Bytes => out.copy_from_slice(&data[rows.start * inputs..rows.end * inputs]),
            Self::Signed => {
                let from = &data[rows.start * inputs..rows.end * inputs];
                out.iter_mut().zip(from).for_each(|(to, from)| *to = from ^ 0x80);
            }
            Self::Rows { bits, stride } => {
                each.for_each(|(row, to)| stream(bits, &data[row * stride..][..stride], to))
            }
            Self::RowWords { bits, words } => each.for_each(|(row, to)| {
                let per_word = 32 / usize::from(bits);
                let words = data[row * words * 4..][..words * 4].as_chunks::<4>().0;
                for (to, word) in to.chunks_mut(per_word).zip(words) {
                    stream(bits, word, to);
                }
            }),
            Self::Columns { bits } => {
                // Words first, line by line of the file.
                let words = (inputs * usize::from(bits)).div_ceil(32);
                let mut columns = vec![0; rows.len() * words * 4];
                for at in 0..words {
                    let line = &data[(at * outputs + rows.start) * 4..][..rows.len() * 4];
                    for (row, word) in line.as_chunks::<4>().0.iter().enumerate() {
                        columns[(row * words + at) * 4..][..4].copy_from_slice(word);
                    }
                }
                for ((_, to), column) in each.zip(columns.chunks_exact((words * 4).max(1))) {
                    stream(bits, column, to);
                }
            }
            Self::Outputs => {
                for at in 0..inputs {
                    let line = &data[at * (outputs / 2)..][..outputs / 2];
                    for (to, row) in rows.clone().enumerate() {
                        let (byte, high) = (row / 8 * 4 + PLACE[row % 8] / 2, PLACE[row % 8] % 2);
                        out[to * inputs + at] = line[byte] >> (4 * high) & 15;
                    }
                }
            }
            Self::Interleaved => each.for_each(|(row, to)| {
                for (at, to) in to.iter_mut().enumerate() {
                    let half = interleaved(row, at, inputs);
                    *to = data[half / 2] >> (4 * (half % 2)) & 15;
                }
            }),
            Self::HighFirst => {
                let first = rows.start * inputs;
                for (at, to) in (first..).zip(&mut out) {
                    *to = data[at / 2] >> (4 * (1 - at % 2)) & 15;
                }
            }
        }
        out
    }
}

/// The codes of a stream of bits.
fn stream(bits: u8, data: &[u8], out: &mut [u8]) {
    let mask = ((1_u16 << bits) - 1) as u8;
    if matches!(bits, 1 | 2 | 4 | 8) {
        let each = 8 / usize::from(bits);
        for (at, to) in out.iter_mut().enumerate() {
            *to = data[at / each] >> (at % each * usize::from(bits)) & mask;
        }
        return;
    }
    for (at, to) in out.iter_mut().enumerate() {
        let start = at * usize::from(bits);
        let low = u16::from(data[start / 8]);
        // A code lies in two bytes at most.
        let high = data.get(start / 8 + 1).copied().map_or(0, u16::from);
        *to = ((low | high << 8) >> (start % 8)) as u8 & mask;
    }
}

/// The place among halves of bytes where the code of an output and an input lies.
///
/// Of 32 inputs, pairs of neighbours stand eight apart; of eight in that order the even ones come first. Then words of 16 bits
/// take one code of each of four outputs' runs of 64 inputs laid one after another.
fn interleaved(output: usize, input: usize, inputs: usize) -> usize {
    let (run, within) = (input / 32, input % 32);
    // [4, 4, 2] -> [4, 4, 2] with the first two axes exchanged.
    let (a, b, c) = (within / 8, within / 2 % 4, within % 2);
    let moved = b * 8 + a * 2 + c;
    // Of each eight, [4, 2] -> [2, 4].
    let (eight, pair, one) = (moved / 8, moved / 2 % 4, moved % 2);
    let place = run * 32 + eight * 8 + one * 4 + pair;
    // [outputs / 4, 4, inputs / 64, 64] -> [outputs / 4, inputs / 64, 4, 64], of which four neighbours make a word.
    let (block, lane) = (place / 64, place % 64);
    let flat = (output % 4) * 64 + lane;
    (output / 4 * inputs + block * 64 + flat / 4) * 4 + flat % 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_cross_bytes() {
        let mut out = [0; 5];
        // 3 bits: 1, 2, 3, 4, 5 from the lowest on.
        stream(3, &[0b1101_0001, 0b0101_1000], &mut out);
        assert_eq!(out, [1, 2, 3, 4, 5]);
        stream(6, &[0b0100_0001, 0b0011_0010, 0b0000_0100, 0xff], &mut out[..4]);
        assert_eq!(out[..4], [1, 9, 3, 1]);
    }

    #[test]
    fn every_place_is_taken_once() {
        let (outputs, inputs) = (8, 128);
        let mut places: Vec<usize> = (0..outputs)
            .flat_map(|output| (0..inputs).map(move |input| interleaved(output, input, inputs)))
            .collect();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..outputs * inputs));
    }
}
