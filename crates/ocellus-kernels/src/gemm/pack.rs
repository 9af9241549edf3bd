//! Packing: operands are copied into the order in which the tile reads them, encoded on the way.
//!
//! `b` becomes panels of `nr` columns, each `[words of K, nr]`, padded with zeros. `a` keeps whichever of its two
//! directions is contiguous, so that packing it is never more than a copy.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::lanes;
use super::layout::{BLOCK_DEPTH, BLOCK_ROWS, Encoding, Line, PackedA, Packer, Place, Run, Strided};
use super::layout::{bf16_bits, room, values_per_word, words};
use super::tile::Tiles;

/// Encodes and copies, in plain Rust.
///
/// # Safety
/// `run` must be readable and `place` writable over the whole shape.
unsafe fn copy(encoding: Encoding, run: Run, place: Place) {
    // SAFETY: indices stay inside the shape the caller vouches for.
    let value = |lane: usize, k: usize| unsafe { *run.data.add(lane * run.lane_stride + k * run.k_stride) };
    let word = |lane: usize, word: usize| match encoding {
        Encoding::F32 => value(lane, word).to_bits(),
        Encoding::RoundedF32 => bf16_bits(value(lane, word)) << 16,
        Encoding::Bf16Pair => {
            let high = if 2 * word + 1 < run.k {
                bf16_bits(value(lane, 2 * word + 1))
            } else {
                0
            };
            bf16_bits(value(lane, 2 * word)) | (high << 16)
        }
    };
    for w in 0..words(encoding, run.k) {
        for lane in 0..run.lanes {
            // SAFETY: as above.
            unsafe { *place.out.add(w * place.word_stride + lane * place.lane_stride) = word(lane, w) };
        }
    }
}

impl Tiles {
    /// Values of K in `words`, and where they start.
    fn values(&self, k: usize, words: &Range<usize>) -> Range<usize> {
        let per_word = values_per_word(self.encoding);
        words.start * per_word..k.min(words.end * per_word)
    }

    /// # Safety
    /// As [`copy`].
    unsafe fn copy(&self, encoding: Encoding, run: Run, place: Place) {
        // SAFETY: passed on to the caller; `Packer::Avx512` is chosen only where the processor has the instructions.
        unsafe {
            match self.packer {
                Packer::Portable => copy(encoding, run, place),
                #[cfg(target_arch = "x86_64")]
                Packer::Avx512 => {
                    let pairs = encoding == Encoding::Bf16Pair;
                    if !lanes::copy(pairs, run, place) {
                        copy(encoding, run, place);
                    }
                }
            }
        }
    }

    /// Whether rows have two words for every one of a panel.
    pub fn spreads(&self) -> bool {
        self.parted.is_some()
    }

    /// How rows are encoded.
    pub fn rows(&self) -> Encoding {
        match self.spreads() {
            true => Encoding::RoundedF32,
            false => self.encoding,
        }
    }

    /// Packs `rows` by `words` of `a` into `block`; words are those of a panel.
    ///
    /// # Safety
    /// The range must lie inside `a`.
    pub unsafe fn pack_a(
        &self,
        a: Strided,
        k: usize,
        words: &Range<usize>,
        rows: &Range<usize>,
        block: &mut Vec<Line>,
    ) -> PackedA {
        let values = self.values(k, words);
        let each = if self.spreads() { 2 } else { 1 };
        // An odd number of cache lines from row to row, so that rows do not fight for the same cache set.
        let row_words = each * BLOCK_DEPTH + 16;
        let out = room(block, BLOCK_ROWS * row_words);
        let (lane_stride, word_stride) = if a.row == 1 && a.col != 1 {
            (1, BLOCK_ROWS)
        } else {
            (row_words, 1)
        };
        // SAFETY: `run` is inside `a`; both layouts fit in `BLOCK_ROWS * row_words` words.
        unsafe {
            let data = a.data.add(rows.start * a.row + values.start * a.col);
            let run = Run {
                data,
                lane_stride: a.row,
                k_stride: a.col,
                lanes: rows.len(),
                k: values.len(),
            };
            let place = Place {
                out,
                lane_stride,
                word_stride,
            };
            self.copy(self.rows(), run, place);
            if self.spreads() && run.k % 2 == 1 {
                // The other half of the last pair.
                for lane in 0..run.lanes {
                    *out.add(run.k * word_stride + lane * lane_stride) = 0;
                }
            }
        }
        PackedA {
            words: out,
            row: lane_stride,
            depth: word_stride,
        }
    }

    /// Packs `words` by `cols` of `b` into `block` as consecutive panels.
    ///
    /// # Safety
    /// The range must lie inside `b`.
    pub unsafe fn pack_b(
        &self,
        b: Strided,
        k: usize,
        words: &Range<usize>,
        cols: &Range<usize>,
        block: &mut Vec<Line>,
    ) {
        let out = room(block, words.len() * cols.len().next_multiple_of(self.nr));
        // SAFETY: `out` has room for all panels.
        unsafe { self.pack_panels(b, k, words, cols, out) }
    }

    /// # Safety
    /// The range must lie inside `b`, and `out` must have room for `words` by `cols` rounded up to whole panels.
    pub unsafe fn pack_panels(
        &self,
        b: Strided,
        k: usize,
        words: &Range<usize>,
        cols: &Range<usize>,
        out: *mut u32,
    ) {
        let values = self.values(k, words);
        for col in cols.clone().step_by(self.nr) {
            let lanes = self.nr.min(cols.end - col);
            // SAFETY: `run` is inside `b`; the panel is inside `out`.
            unsafe {
                let out = out.add((col - cols.start) * words.len());
                if lanes < self.nr {
                    out.write_bytes(0, words.len() * self.nr);
                }
                let data = b.data.add(values.start * b.row + col * b.col);
                let run = Run {
                    data,
                    lane_stride: b.col,
                    k_stride: b.row,
                    lanes,
                    k: values.len(),
                };
                self.copy(
                    self.encoding,
                    run,
                    Place {
                        out,
                        lane_stride: 1,
                        word_stride: self.nr,
                    },
                );
            }
        }
    }
}
