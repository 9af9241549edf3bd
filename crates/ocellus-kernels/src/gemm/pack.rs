//! Packing: operands are copied into the order in which the tile reads them, and encoded.
//!
//! `b` becomes panels of `nr` columns, each `[words of K, nr]`, padded with zeros. `a` keeps whichever of its two
//! directions is contiguous, so that packing it is never more than a copy.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::lanes;
use super::layout::{BLOCK_DEPTH, BLOCK_ROWS, Encoding, Line, PackedA, Packer, Place, Run, Strided};
use super::layout::{bf16_bits, room, values_per_word};
use super::tile::Tiles;

/// Encodes one word; `second` is used where a word holds two values.
#[inline(always)]
fn word(encoding: Encoding, first: f32, second: f32) -> u32 {
    match encoding {
        Encoding::F32 => first.to_bits(),
        Encoding::RoundedF32 => bf16_bits(first) << 16,
        Encoding::Bf16Pair => bf16_bits(first) | bf16_bits(second) << 16,
    }
}

/// Side of a block that is transposed.
const TURN: usize = 8;

/// Transposes a block of words.
#[inline(always)]
fn turned(block: [[u32; TURN]; TURN]) -> [[u32; TURN]; TURN] {
    std::array::from_fn(|w| std::array::from_fn(|lane| block[lane][w]))
}

/// Encodes and copies in plain Rust; the inner loops follow the contiguous direction, so that the compiler vectorises them.
///
/// # Safety
/// `run` must be readable and `place` writable over the whole shape.
#[inline(always)]
unsafe fn copy_as(encoding: Encoding, run: Run, place: Place) {
    let each = values_per_word(encoding);
    // SAFETY: lanes and words below stay inside the shape the caller vouches for.
    let read = |lane: usize, w: usize| unsafe {
        let first = run.data.add(lane * run.lane_stride + w * each * run.k_stride);
        word(encoding, *first, *first.add((each - 1) * run.k_stride))
    };
    // SAFETY: as above.
    let write = |lane: usize, w: usize, word: u32| unsafe {
        *place.out.add(w * place.word_stride + lane * place.lane_stride) = word;
    };
    // Words that are full.
    let whole = run.k / each;
    match (
        run.lane_stride,
        run.k_stride,
        place.lane_stride,
        place.word_stride,
    ) {
        (_, 1, _, 1) => {
            for lane in 0..run.lanes {
                // SAFETY: one row of the shape.
                let (from, to) = unsafe {
                    (
                        run.data.add(lane * run.lane_stride),
                        place.out.add(lane * place.lane_stride),
                    )
                };
                for w in 0..whole {
                    // SAFETY: inside the row.
                    unsafe {
                        *to.add(w) = word(encoding, *from.add(w * each), *from.add(w * each + each - 1))
                    };
                }
            }
        }
        (1, _, 1, _) => {
            for w in 0..whole {
                // SAFETY: the values of one word of every lane.
                let (first, to) = unsafe {
                    (
                        run.data.add(w * each * run.k_stride),
                        place.out.add(w * place.word_stride),
                    )
                };
                let second = first.wrapping_add((each - 1) * run.k_stride);
                for lane in 0..run.lanes {
                    // SAFETY: inside the lanes.
                    unsafe { *to.add(lane) = word(encoding, *first.add(lane), *second.add(lane)) };
                }
            }
        }
        (_, 1, 1, _) => {
            for lane in (0..run.lanes).step_by(TURN) {
                for w in (0..whole).step_by(TURN) {
                    if lane + TURN > run.lanes || w + TURN > whole {
                        for w in w..whole.min(w + TURN) {
                            (lane..run.lanes.min(lane + TURN)).for_each(|lane| write(lane, w, read(lane, w)));
                        }
                        continue;
                    }
                    let mut block = [[0; TURN]; TURN];
                    for (i, words) in block.iter_mut().enumerate() {
                        // SAFETY: the whole block is inside the shape.
                        let from = unsafe { run.data.add((lane + i) * run.lane_stride + w * each) };
                        for (j, to) in words.iter_mut().enumerate() {
                            // SAFETY: as above.
                            *to = unsafe {
                                word(encoding, *from.add(j * each), *from.add(j * each + each - 1))
                            };
                        }
                    }
                    for (j, words) in turned(block).into_iter().enumerate() {
                        // SAFETY: as above.
                        unsafe {
                            place
                                .out
                                .add((w + j) * place.word_stride + lane)
                                .cast::<[u32; TURN]>()
                                .write(words)
                        };
                    }
                }
            }
        }
        _ => {
            for w in 0..whole {
                (0..run.lanes).for_each(|lane| write(lane, w, read(lane, w)));
            }
        }
    }
    if whole * each < run.k {
        for lane in 0..run.lanes {
            // SAFETY: the last value of the lane.
            let last = unsafe { *run.data.add(lane * run.lane_stride + whole * each * run.k_stride) };
            write(lane, whole, word(encoding, last, 0.0));
        }
    }
}

/// # Safety
/// As [`copy_as`].
#[inline(always)]
unsafe fn copy(encoding: Encoding, run: Run, place: Place) {
    // SAFETY: passed on to the caller. One loop for each encoding, with nothing to decide inside.
    unsafe {
        match encoding {
            Encoding::F32 => copy_as(Encoding::F32, run, place),
            Encoding::RoundedF32 => copy_as(Encoding::RoundedF32, run, place),
            Encoding::Bf16Pair => copy_as(Encoding::Bf16Pair, run, place),
        }
    }
}

/// # Safety
/// As [`copy_as`], on a processor with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn copy_avx2(encoding: Encoding, run: Run, place: Place) {
    // SAFETY: passed on to the caller.
    unsafe { copy(encoding, run, place) }
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
        // SAFETY: passed on to the caller; packers are chosen only where the processor has their instructions.
        unsafe {
            match self.packer {
                Packer::Portable => copy(encoding, run, place),
                #[cfg(target_arch = "x86_64")]
                Packer::Avx2 => copy_avx2(encoding, run, place),
                #[cfg(target_arch = "x86_64")]
                Packer::Avx512 => {
                    let pairs = encoding == Encoding::Bf16Pair;
                    if !lanes::copy(pairs, run, place) {
                        copy_avx2(encoding, run, place);
                    }
                }
            }
        }
    }

    /// Whether packed rows of `a` have two words for each word of a panel.
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
        // The row stride is an odd number of cache lines, so that rows do not compete for the same cache set.
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
                // Zero for the missing second value of the last pair.
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
