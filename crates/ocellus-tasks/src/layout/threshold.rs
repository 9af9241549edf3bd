//! Local thresholds: where a page's brightness divides into two levels, whatever they are.
//!
//! Each tile uses the darkest and the lightest pixel around it (the mid-grey of Bernsen 1986). Where that
//! contrast is real, the threshold lies between the two, nearer to the ground than to the ink, so that grey text
//! beside black text survives. Tiles without contrast take the threshold of the nearest tile that has some: the
//! inside of a thick letter or of a coloured box falls on the same side as its edge.

use ocellus_media::Gray;

use super::components::Mask;

const TILE_PX: usize = 8;
/// Contrast below this is paper texture, compression noise or a faint tint.
const CONTRAST_LEVELS: i32 = 28;

struct Tiles {
    columns: usize,
    rows: usize,
    low: Vec<i32>,
    high: Vec<i32>,
    /// Extremes after a 3x3 mean: what noise cannot reach.
    soft_low: Vec<i32>,
    soft_high: Vec<i32>,
    sum: Vec<i32>,
}

/// Dark pixels as 1. `None` if the page has no contrast anywhere.
pub(super) fn binarise(page: &Gray) -> Option<Mask> {
    let tiles = measure(page);
    let thresholds = thresholds(&tiles)?;
    Some(apply(page, &tiles, &thresholds))
}

fn measure(page: &Gray) -> Tiles {
    let (width, height) = (page.width as usize, page.height as usize);
    let (columns, rows) = (width.div_ceil(TILE_PX), height.div_ceil(TILE_PX));
    let count = columns * rows;
    let mut tiles = Tiles {
        columns,
        rows,
        low: vec![255; count],
        high: vec![0; count],
        soft_low: vec![255; count],
        soft_high: vec![0; count],
        sum: vec![0; count],
    };
    let mut column_sums = vec![0i32; width];
    for y in 0..height {
        let row = |y: usize| &page.data[y * width..(y + 1) * width];
        let (above, here, below) = (row(y.saturating_sub(1)), row(y), row((y + 1).min(height - 1)));
        for x in 0..width {
            column_sums[x] = i32::from(above[x]) + i32::from(here[x]) + i32::from(below[x]);
        }
        let first = y / TILE_PX * columns;
        for (column, start) in (0..width).step_by(TILE_PX).enumerate() {
            let end = (start + TILE_PX).min(width);
            let (mut low, mut high, mut soft_low, mut soft_high, mut sum) = (255, 0, 255 * 9, 0, 0);
            for x in start..end {
                let level = i32::from(here[x]);
                low = low.min(level);
                high = high.max(level);
                sum += level;
                let soft =
                    column_sums[x.saturating_sub(1)] + column_sums[x] + column_sums[(x + 1).min(width - 1)];
                soft_low = soft_low.min(soft);
                soft_high = soft_high.max(soft);
            }
            let tile = first + column;
            tiles.low[tile] = tiles.low[tile].min(low);
            tiles.high[tile] = tiles.high[tile].max(high);
            tiles.soft_low[tile] = tiles.soft_low[tile].min(soft_low / 9);
            tiles.soft_high[tile] = tiles.soft_high[tile].max(soft_high / 9);
            tiles.sum[tile] += sum;
        }
    }
    for row in 0..rows {
        for column in 0..columns {
            let across = TILE_PX.min(width - column * TILE_PX);
            let down = TILE_PX.min(height - row * TILE_PX);
            tiles.sum[row * columns + column] /= (across * down) as i32;
        }
    }
    tiles
}

/// A threshold per tile; `None` if no tile has contrast.
fn thresholds(tiles: &Tiles) -> Option<Vec<i32>> {
    let (columns, rows) = (tiles.columns, tiles.rows);
    let around = |values: &[i32], fold: fn(i32, i32) -> i32| widen(values, columns, rows, fold);
    let low = around(&tiles.low, i32::min);
    let high = around(&tiles.high, i32::max);
    let soft_low = around(&tiles.soft_low, i32::min);
    let soft_high = around(&tiles.soft_high, i32::max);
    let sum = around(&tiles.sum, |a, b| a + b);
    let ones = around(&vec![1; columns * rows], |a, b| a + b);

    // Most tiles of a page are bare: their contrast is its noise.
    let mut contrasts: Vec<i32> = (0..columns * rows)
        .map(|tile| tiles.soft_high[tile] - tiles.soft_low[tile])
        .collect();
    let quarter = contrasts.len() / 4;
    let (_, noise, _) = contrasts.select_nth_unstable(quarter);
    let enough = CONTRAST_LEVELS.max((*noise * 3).min(70));

    let mut weight = vec![0; columns * rows];
    let mut darks = vec![0; columns * rows];
    let mut lights = vec![0; columns * rows];
    for tile in 0..columns * rows {
        if soft_high[tile] - soft_low[tile] < enough {
            continue;
        }
        let (low, high) = (low[tile], high[tile]);
        let range = (high - low).max(1);
        let middle = (low + high) / 2;
        // +1: the ground is surely light; -1: surely dark; 0: half and half.
        let lightness = (5.0 * (sum[tile] / ones[tile] - middle) as f32 / range as f32).clamp(-1.0, 1.0);
        // The ground is everywhere, so noise reaches its extremes; its end is better taken from the means.
        let part =
            |lightness: f32, soft: i32, hard: i32| hard as f32 + lightness.max(0.0) * (soft - hard) as f32;
        let light = part(lightness, soft_high[tile], high);
        let dark = part(-lightness, soft_low[tile], low);
        // Nearer to the ground than to the ink.
        let shift = 0.12 * lightness * (light - dark);
        weight[tile] = range * range;
        darks[tile] = weight[tile] * (dark + shift) as i32;
        lights[tile] = weight[tile] * (light + shift) as i32;
    }
    // A tile that has only the soft edge of a letter takes the levels of the tiles that have the letter. (Sums over nine
    // tiles: at most 9 * 285 * 255^2, which fits.)
    let weights = around(&weight, |a, b| a + b);
    let (darks, lights) = (around(&darks, |a, b| a + b), around(&lights, |a, b| a + b));
    let levels = (0..columns * rows)
        .map(|tile| match weight[tile] {
            0 => Levels {
                steps: u32::MAX,
                dark: 0,
                light: 0,
            },
            _ => Levels {
                steps: 0,
                dark: darks[tile] / weights[tile],
                light: lights[tile] / weights[tile],
            },
        })
        .collect();
    let means: Vec<i32> = tiles.sum.clone();
    let levels = spread(levels, &means, columns, rows);
    let known = levels.first().is_some_and(|levels| levels.steps != u32::MAX);
    known.then(|| {
        levels
            .iter()
            .zip(&means)
            .map(|(levels, &mean)| levels.threshold(mean))
            .collect()
    })
}

/// The two levels that divide a tile's pixels.
#[derive(Clone, Copy)]
struct Levels {
    /// How far away they were measured; `u32::MAX` if nowhere.
    steps: u32,
    dark: i32,
    light: i32,
}

impl Levels {
    /// Half-way between the two. A tile without contrast is all of one kind: there noise would have to reach the
    /// other level nearly.
    fn threshold(&self, mean: i32) -> i32 {
        let middle = (self.dark + self.light) / 2;
        let almost = (self.light - self.dark) * 3 / 20;
        match (self.steps, mean >= middle) {
            (0, _) => middle,
            (_, true) => self.dark + almost,
            (_, false) => self.light - almost,
        }
    }
}

/// Folds every tile with its eight neighbours.
fn widen(values: &[i32], columns: usize, rows: usize, fold: fn(i32, i32) -> i32) -> Vec<i32> {
    let mut across = values.to_vec();
    for row in 0..rows {
        for column in 0..columns {
            let at = row * columns + column;
            if column > 0 {
                across[at] = fold(across[at], values[at - 1]);
            }
            if column + 1 < columns {
                across[at] = fold(across[at], values[at + 1]);
            }
        }
    }
    let mut both = across.clone();
    for row in 0..rows {
        for column in 0..columns {
            let at = row * columns + column;
            if row > 0 {
                both[at] = fold(both[at], across[at - columns]);
            }
            if row + 1 < rows {
                both[at] = fold(both[at], across[at + columns]);
            }
        }
    }
    both
}

/// Gives every tile the levels of its nearest tile with contrast (two chamfer passes). On the way they follow the
/// tiles' means, so that shade and vignettes do not cross the threshold.
fn spread(mut levels: Vec<Levels>, means: &[i32], columns: usize, rows: usize) -> Vec<Levels> {
    let mut take = |to: usize, from: usize, step: u32| {
        let near = levels[from];
        let steps = near.steps.saturating_add(step);
        if steps >= levels[to].steps {
            return;
        }
        let mean = means[to];
        let (to_dark, to_light) = ((mean - near.dark).abs(), (mean - near.light).abs());
        let shift = if to_light <= to_dark {
            mean - near.light
        } else {
            mean - near.dark
        };
        // A jump is a new surface, whose levels are not known.
        let shift = if shift.abs() * 4 <= near.light - near.dark {
            shift
        } else {
            0
        };
        levels[to] = Levels {
            steps,
            dark: near.dark + shift,
            light: near.light + shift,
        };
    };
    for row in 0..rows {
        for column in 0..columns {
            let at = row * columns + column;
            if column > 0 {
                take(at, at - 1, 3);
            }
            if row > 0 {
                take(at, at - columns, 3);
                if column > 0 {
                    take(at, at - columns - 1, 4);
                }
                if column + 1 < columns {
                    take(at, at - columns + 1, 4);
                }
            }
        }
    }
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            let at = row * columns + column;
            if column + 1 < columns {
                take(at, at + 1, 3);
            }
            if row + 1 < rows {
                take(at, at + columns, 3);
                if column + 1 < columns {
                    take(at, at + columns + 1, 4);
                }
                if column > 0 {
                    take(at, at + columns - 1, 4);
                }
            }
        }
    }
    levels
}

/// Compares each pixel with the threshold interpolated between the centres of the four nearest tiles.
fn apply(page: &Gray, tiles: &Tiles, thresholds: &[i32]) -> Mask {
    let (width, height) = (page.width as usize, page.height as usize);
    let mut mask = Mask::empty(width, height);
    // Position of a pixel between tile centres: the tile before it and the weight (of 16) of the one after.
    let between = |at: usize, count: usize| {
        let shifted = (2 * at + 1) as i32 - TILE_PX as i32;
        let index = shifted.div_euclid(2 * TILE_PX as i32);
        let weight = shifted.rem_euclid(2 * TILE_PX as i32);
        let clamp = |index: i32| index.clamp(0, count as i32 - 1) as usize;
        (clamp(index), clamp(index + 1), weight)
    };
    let mut row_thresholds = vec![0i32; tiles.columns];
    let across: Vec<_> = (0..width).map(|x| between(x, tiles.columns)).collect();
    for y in 0..height {
        let (before, after, weight) = between(y, tiles.rows);
        for (column, value) in row_thresholds.iter_mut().enumerate() {
            let (a, b) = (
                thresholds[before * tiles.columns + column],
                thresholds[after * tiles.columns + column],
            );
            *value = a * (16 - weight) + b * weight;
        }
        let row = y * width;
        for (x, &(left, right, weight)) in across.iter().enumerate() {
            let threshold = row_thresholds[left] * (16 - weight) + row_thresholds[right] * weight;
            mask.data[row + x] = u8::from((i32::from(page.data[row + x]) << 8) < threshold);
        }
    }
    mask
}
