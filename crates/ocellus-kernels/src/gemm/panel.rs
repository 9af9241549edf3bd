//! The loop over all tiles of a product with packed operands.

use super::layout::{Line, PackedA};
use super::tile::{MAX_MR, MAX_NR, TileArgs, TileFn, Tiles};
use crate::isa::{Isa, Kernel};
use crate::simd::Simd;

static ZEROS: [f32; MAX_NR] = [0.0; MAX_NR];

/// Initial values of the sums.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    Zero,
    /// The same values for every row.
    Row(*const f32),
    /// The previous output.
    Kept,
}

/// `c[rows, cols] = a[rows, depth] * panels[depth, cols]`, with `depth` in words.
#[derive(Clone, Copy)]
pub(crate) struct PanelProduct<'a> {
    pub tiles: &'a Tiles,
    pub a: PackedA,
    /// Panels of `nr` columns, one after the other, each `[depth, nr]`.
    pub panels: *const u32,
    pub rows: usize,
    pub depth: usize,
    pub cols: usize,
    pub start: Start,
    pub c: *mut f32,
    pub ldc: usize,
}

impl PanelProduct<'_> {
    /// # Safety
    /// All pointers must be good for these shapes, and no other task may touch this rectangle of `c`.
    pub unsafe fn run(&self) {
        let nr = self.tiles.nr;
        for col in (0..self.cols).step_by(nr) {
            // SAFETY: panels follow one another.
            let panel = unsafe { self.panels.add(col * self.depth) };
            match self.tiles.parted {
                // For this many rows, splitting pairs once per panel costs less than splitting them in every tile.
                Some(parted) if self.rows > 2 * self.tiles.mr => {
                    // SAFETY: passed on to the caller.
                    unsafe { self.parted(parted, panel, col) };
                }
                _ => {
                    let part = Part {
                        by_rows: self.tiles.by_rows,
                        a: self.a.words,
                        panel,
                        depth: self.depth,
                        start: self.start,
                    };
                    // SAFETY: passed on to the caller.
                    unsafe { self.tiles_of(part, col) };
                }
            }
        }
    }

    /// One panel of bf16 pairs, which are widened to f32 piece by piece in a buffer.
    ///
    /// # Safety
    /// As [`PanelProduct::run`].
    unsafe fn parted(&self, (isa, by_rows): (Isa, &'static [TileFn]), panel: *const u32, col: usize) {
        /// Words of K that are widened at a time: they stay in a first-level cache while all rows use them.
        const DEPTH: usize = 128;
        let mut values = [Line::ZERO; 2 * DEPTH * MAX_NR / 16];
        let values: *mut u32 = values.as_mut_ptr().cast();
        for word in (0..self.depth).step_by(DEPTH) {
            let words = DEPTH.min(self.depth - word);
            // SAFETY: passed on to the caller; there is room for two values of each of these words.
            unsafe {
                isa.run(Parting {
                    from: panel.add(word * self.tiles.nr),
                    nr: self.tiles.nr,
                    words,
                    to: values.cast(),
                });
                let part = Part {
                    by_rows,
                    a: self.a.words.add(2 * word * self.a.depth),
                    panel: values,
                    depth: 2 * words,
                    start: if word == 0 { self.start } else { Start::Kept },
                };
                self.tiles_of(part, col);
            }
        }
    }

    /// All rows by one panel, over a part of K.
    ///
    /// # Safety
    /// As [`PanelProduct::run`].
    unsafe fn tiles_of(&self, part: Part, col: usize) {
        let (mr, nr) = (self.tiles.mr, self.tiles.nr);
        let width = nr.min(self.cols - col);
        for row in (0..self.rows).step_by(mr) {
            let height = mr.min(self.rows - row);
            // SAFETY: every offset stays inside the shapes the caller vouches for.
            unsafe {
                let c = self.c.add(row * self.ldc + col);
                let (seed, seed_row) = match part.start {
                    Start::Kept => (c.cast_const(), self.ldc),
                    Start::Row(values) => (values.add(col), 0),
                    Start::Zero => (ZEROS.as_ptr(), 0),
                };
                let args = TileArgs {
                    depth: part.depth,
                    a: part.a.add(row * self.a.row),
                    a_row: self.a.row,
                    a_depth: self.a.depth,
                    b: part.panel,
                    seed,
                    seed_row,
                    c,
                    c_row: self.ldc,
                };
                let tile = part.by_rows[height - 1];
                if width == nr {
                    tile(args)
                } else {
                    narrow(tile, args, height, width, nr)
                }
            }
        }
    }
}

/// Operands of a part of K.
struct Part {
    by_rows: &'static [TileFn],
    a: *const u32,
    panel: *const u32,
    depth: usize,
    start: Start,
}

/// Widens `words` rows of `nr` pairs to twice as many rows of single values.
struct Parting {
    from: *const u32,
    nr: usize,
    words: usize,
    to: *mut f32,
}

impl Kernel for Parting {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for word in 0..self.words {
            for lane in (0..self.nr).step_by(S::LANES) {
                // SAFETY: the caller guarantees both places; widths of panels are multiples of vectors.
                unsafe {
                    let from = self.from.add(word * self.nr + lane);
                    let to = self.to.add(2 * word * self.nr + lane);
                    s.store_ptr(s.load_low(from), to);
                    s.store_ptr(s.load_high(from), to.add(self.nr));
                }
            }
        }
    }
}

/// A tile at the right edge: computed at full width in a buffer, from which only the existing columns are copied.
///
/// # Safety
/// As the tile, except that `seed` and `c` are only good for `width` columns.
unsafe fn narrow(tile: TileFn, args: TileArgs, height: usize, width: usize, nr: usize) {
    let mut beside = [0.0_f32; MAX_MR * MAX_NR];
    for i in 0..height {
        // SAFETY: `width` values of each row are inside what the caller vouches for.
        let seed = unsafe { std::slice::from_raw_parts(args.seed.add(i * args.seed_row), width) };
        beside[i * nr..i * nr + width].copy_from_slice(seed);
    }
    let c = beside.as_mut_ptr();
    // SAFETY: the tile reads and writes `height` by `nr` values of `beside`, which holds that many.
    unsafe {
        tile(TileArgs {
            seed: c,
            seed_row: nr,
            c,
            c_row: nr,
            ..args
        })
    };
    for i in 0..height {
        // SAFETY: as above.
        let out = unsafe { std::slice::from_raw_parts_mut(args.c.add(i * args.c_row), width) };
        out.copy_from_slice(&beside[i * nr..i * nr + width]);
    }
}
