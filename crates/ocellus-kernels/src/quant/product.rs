//! Products of many rows: quantise activations, then run tiles over panels and blocks of K.

use std::cell::Cell;
use std::ops::Range;

use super::activation::Rounded;
use super::format::PANEL;
use super::packed::PackedQ;
use super::tile::{self, Args, ROWS, Tiles};
use crate::isa::Isa;

/// Values of K per block: a panel of this depth and the quantised rows fit a second-level cache.
const STRETCH: usize = 2048;

/// Initial values of the sums.
#[derive(Clone, Copy)]
pub(crate) enum Seed<'a> {
    Zero,
    /// The same values for every row, `[n]`.
    Row(&'a [f32]),
    /// The previous output.
    Kept,
}

static ZEROS: [f32; PANEL] = [0.0; PANEL];

thread_local!(static ROUNDED: Cell<Rounded> = Cell::new(Rounded::default()));

/// Runs `work` with this thread's buffer of quantised rows.
pub(crate) fn with_rounded(work: impl FnOnce(&mut Rounded)) {
    let mut rounded = ROUNDED.take();
    work(&mut rounded);
    ROUNDED.set(rounded);
}

impl PackedQ {
    /// Computes `rows` rounded rows by panels `panels` into `out[row * out_row + column]`.
    ///
    /// # Safety
    /// `rounded` must hold `rows` rows for this matrix; `out` must be good for the rectangle, which no other task touches.
    pub(crate) unsafe fn multiply(
        &self,
        isa: Isa,
        rounded: &Rounded,
        rows: usize,
        panels: Range<usize>,
        seed: Seed,
        out: *mut f32,
        out_row: usize,
    ) {
        let format = self.format();
        let tiles = tile::tiles(isa, format.bits);
        let groups = format.groups(self.k());
        assert!(rounded.groups == groups && rounded.group == format.group);
        assert!(rounded.sums.len() >= rows * groups && panels.end <= self.n().div_ceil(PANEL));
        if groups == 0 {
            // K is empty: one tile over no groups writes the initial values.
            // SAFETY: as below.
            unsafe { self.stretch(tiles, rounded, rows, &panels, 0..0, seed, out, out_row) };
        }
        let step = (STRETCH / format.group).max(1);
        for first in (0..groups).step_by(step) {
            let seed = if first == 0 { seed } else { Seed::Kept };
            let span = first..groups.min(first + step);
            // SAFETY: passed on to the caller; spans are inside K.
            unsafe { self.stretch(tiles, rounded, rows, &panels, span, seed, out, out_row) };
        }
    }

    /// # Safety
    /// As [`PackedQ::multiply`]; `span` must be groups of K.
    unsafe fn stretch(
        &self,
        tiles: &Tiles,
        rounded: &Rounded,
        rows: usize,
        panels: &Range<usize>,
        span: Range<usize>,
        seed: Seed,
        out: *mut f32,
        out_row: usize,
    ) {
        let (n, group) = (self.n(), rounded.group);
        for panel in panels.clone() {
            let col = panel * PANEL;
            let width = PANEL.min(n - col);
            let weights = self.panel(panel, span.start).as_ptr();
            for row in (0..rows).step_by(tiles.len()) {
                let height = tiles.len().min(rows - row);
                let first = row * rounded.groups + span.start;
                // SAFETY: offsets stay inside the rounded rows, the panel and the rectangle of `out`.
                unsafe {
                    let to = out.add(row * out_row + col);
                    let (seed, seed_row) = match seed {
                        Seed::Zero => (ZEROS.as_ptr(), 0),
                        Seed::Row(values) => (values.as_ptr().add(col), 0),
                        Seed::Kept => (to.cast_const(), out_row),
                    };
                    let args = Args {
                        format: self.format(),
                        unit: self.unit(),
                        groups: span.len(),
                        weights,
                        values: rounded.values.as_ptr().add(first * group),
                        value_row: rounded.groups * group,
                        scales: rounded.scales.as_ptr().add(first),
                        sums: rounded.sums.as_ptr().add(first),
                        number_row: rounded.groups,
                        seed,
                        seed_row,
                        out: to,
                        out_row,
                    };
                    let tile = tiles[height - 1];
                    if width == PANEL {
                        tile(args);
                    } else {
                        narrow(tile, args, height, width);
                    }
                }
            }
        }
    }
}

/// A tile at the right edge: computed at full width in a buffer, from which only the existing columns are copied.
///
/// # Safety
/// As the tile, except that `seed` and `out` are only good for `width` columns.
unsafe fn narrow(tile: tile::Tile, args: Args, height: usize, width: usize) {
    let mut beside = [0.0_f32; ROWS * PANEL];
    for i in 0..height {
        // SAFETY: `width` values of each row are inside what the caller vouches for.
        let seed = unsafe { std::slice::from_raw_parts(args.seed.add(i * args.seed_row), width) };
        beside[i * PANEL..i * PANEL + width].copy_from_slice(seed);
    }
    let out = beside.as_mut_ptr();
    // SAFETY: the tile reads and writes `height` rows of a panel of `beside`, which holds that many.
    unsafe {
        tile(Args {
            seed: out,
            seed_row: PANEL,
            out,
            out_row: PANEL,
            ..args
        })
    };
    for i in 0..height {
        // SAFETY: as above.
        let to = unsafe { std::slice::from_raw_parts_mut(args.out.add(i * args.out_row), width) };
        to.copy_from_slice(&beside[i * PANEL..i * PANEL + width]);
    }
}
