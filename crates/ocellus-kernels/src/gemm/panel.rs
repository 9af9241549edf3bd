//! All tiles of a product whose operands are packed.

use super::pack::PackedA;
use super::tile::{MAX_MR, MAX_NR, TileArgs, TileFn, Tiles};

static ZEROS: [f32; MAX_NR] = [0.0; MAX_NR];

/// What the sums start from.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    Zero,
    /// The same values for every row.
    Row(*const f32),
    /// What the output holds.
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
    /// All pointers must be good for these shapes, and nobody else may touch this rectangle of `c`.
    pub unsafe fn run(&self) {
        let (mr, nr) = (self.tiles.mr, self.tiles.nr);
        for col in (0..self.cols).step_by(nr) {
            let width = nr.min(self.cols - col);
            for row in (0..self.rows).step_by(mr) {
                let height = mr.min(self.rows - row);
                // SAFETY: every offset stays inside the shapes the caller vouches for.
                unsafe {
                    let c = self.c.add(row * self.ldc + col);
                    let (seed, seed_row) = match self.start {
                        Start::Kept => (c.cast_const(), self.ldc),
                        Start::Row(values) => (values.add(col), 0),
                        Start::Zero => (ZEROS.as_ptr(), 0),
                    };
                    let args = TileArgs {
                        depth: self.depth,
                        a: self.a.words.add(row * self.a.row),
                        a_row: self.a.row,
                        a_depth: self.a.depth,
                        b: self.panels.add(col * self.depth),
                        seed,
                        seed_row,
                        c,
                        c_row: self.ldc,
                    };
                    let tile = self.tiles.by_rows[height - 1];
                    if width == nr {
                        tile(args)
                    } else {
                        narrow(tile, args, height, width, nr)
                    }
                }
            }
        }
    }
}

/// A tile at the right edge: computed in full beside the output, of which only the true columns are copied.
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
