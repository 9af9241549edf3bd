//! Takes rules, boxes and table borders out of the ink, and leaves the text that touches them.
//!
//! Only components too large to be letters are considered. In these, straight thin runs of ink that are much longer
//! than a letter is high are erased, except where a stroke passes through from one side to the other.

use super::components::{Components, Mask, Of, Run, label};
use super::rect::Rect;

/// What was erased.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub horizontal: Vec<Rect>,
    pub vertical: Vec<Rect>,
}

impl Rules {
    pub fn is_empty(&self) -> bool {
        self.horizontal.is_empty() && self.vertical.is_empty()
    }
}

/// Height of most letters in pixels: the median over ink components of plausible shape, weighted by height so that
/// dust does not count for much. `None` if there is nothing like a letter.
pub(super) fn letter_height(components: &Components) -> Option<i32> {
    let mut histogram = [0u64; 128];
    for component in &components.all {
        let (width, height) = (component.rect.width(), component.rect.height());
        if (4..128).contains(&height) && width * 5 >= height && width <= height * 3 && component.area >= 8 {
            histogram[height as usize] += height as u64;
        }
    }
    let half = histogram.iter().sum::<u64>() / 2;
    let mut sum = 0;
    (0..128).find(|&height| {
        sum += histogram[height as usize];
        sum > half
    })
}

/// Erases rules from `ink`. `letter` is the letter height in pixels.
pub(super) fn erase(ink: &mut Mask, components: &Components, letter: i32) -> Rules {
    let mut rules = Rules::default();
    // Frames hold little ink for their size, so even a short straight stroke in them is a border.
    for is_frame in [true, false] {
        let chosen: Vec<bool> = components
            .all
            .iter()
            .map(|component| {
                let rect = component.rect;
                let large = rect.width() >= 4 * letter || rect.height() >= 3 * letter;
                let sparse =
                    (component.area as i64) * 10 < 3 * i64::from(rect.width()) * i64::from(rect.height());
                let frame = sparse && rect.width() >= 6 * letter && rect.height() >= letter;
                large && frame == is_frame
            })
            .collect();
        if !chosen.contains(&true) {
            continue;
        }
        let mut large = Mask::empty(ink.width, ink.height);
        for run in &components.runs {
            if chosen[run.component as usize] {
                large.paint(run, 1);
                ink.paint(run, 0);
            }
        }
        let thickest = (letter / 2).max(4);
        rules
            .horizontal
            .extend(erase_horizontal(&mut large, 4 * letter, thickest));
        let mut turned = transpose(&large);
        let shortest = if is_frame { letter * 9 / 4 } else { 5 * letter };
        let vertical = erase_horizontal(&mut turned, shortest.max(16), thickest);
        rules.vertical.extend(vertical.iter().map(|rect| Rect {
            x0: rect.y0,
            y0: rect.x0,
            x1: rect.y1,
            y1: rect.x1,
        }));
        let large = transpose(&turned);
        for (pixel, rest) in ink.data.iter_mut().zip(&large.data) {
            *pixel |= rest;
        }
    }
    rules
}

fn transpose(mask: &Mask) -> Mask {
    const BLOCK: usize = 32;
    let mut turned = Mask::empty(mask.height, mask.width);
    for top in (0..mask.height).step_by(BLOCK) {
        for left in (0..mask.width).step_by(BLOCK) {
            for y in top..(top + BLOCK).min(mask.height) {
                for x in left..(left + BLOCK).min(mask.width) {
                    turned.data[x * mask.height + y] = mask.data[y * mask.width + x];
                }
            }
        }
    }
    turned
}

fn erase_horizontal(mask: &mut Mask, shortest: i32, thickest: i32) -> Vec<Rect> {
    let runs = label(mask, Of::Ink).runs;
    let mut bands: Vec<Rect> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for run in runs.iter().filter(|run| run.length() as i32 >= shortest) {
        if thickness(mask, run, thickest) > thickest {
            continue;
        }
        let y = run.y as i32;
        let rect = Rect {
            x0: run.x0 as i32,
            y0: y,
            x1: run.x1 as i32,
            y1: y + 1,
        };
        open.retain(|&band| bands[band].y1 >= y);
        let grown = open
            .iter()
            .find(|&&band| bands[band].y1 == y && bands[band].gap_x(&rect) < 0);
        match grown {
            Some(&band) => bands[band] = bands[band].union(&rect),
            None => {
                open.push(bands.len());
                bands.push(rect);
            }
        }
    }
    for band in &bands {
        erase_band(mask, band);
    }
    bands
}

/// Rows of ink through the run, by the median over sampled columns; text that touches a rule does so at few of them.
fn thickness(mask: &Mask, run: &Run, enough: i32) -> i32 {
    let step = (run.length() as usize / 24).max(1);
    let mut samples: Vec<i32> = (run.x0 as usize..run.x1 as usize)
        .step_by(step)
        .map(|x| {
            let y = run.y as usize;
            let above = (0..y)
                .rev()
                .take_while(|&y| mask.at(x, y) == 1)
                .take(enough as usize + 1)
                .count();
            let below = (y + 1..mask.height)
                .take_while(|&y| mask.at(x, y) == 1)
                .take(enough as usize + 1)
                .count();
            (above + below) as i32 + 1
        })
        .collect();
    let middle = samples.len() / 2;
    *samples.select_nth_unstable(middle).1
}

/// Clears a band of rows, but not where ink passes through it, and the ragged row on either side of it.
fn erase_band(mask: &mut Mask, band: &Rect) {
    let (top, bottom) = (band.y0 as usize, band.y1 as usize);
    for x in band.x0 as usize..band.x1 as usize {
        let above = top > 0 && mask.at(x, top - 1) == 1;
        let below = bottom < mask.height && mask.at(x, bottom) == 1;
        let stroke_above = above && top > 1 && mask.at(x, top - 2) == 1;
        let stroke_below = below && bottom + 1 < mask.height && mask.at(x, bottom + 1) == 1;
        if stroke_above && stroke_below {
            continue;
        }
        for y in top..bottom {
            mask.data[y * mask.width + x] = 0;
        }
        if above && !stroke_above {
            mask.data[(top - 1) * mask.width + x] = 0;
        }
        if below && !stroke_below {
            mask.data[bottom * mask.width + x] = 0;
        }
    }
}
