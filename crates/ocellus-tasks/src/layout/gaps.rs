//! The white between the letters of a line: which gaps part words, and which part what are two lines side by side.

use std::ops::Range;

use super::glyph_group::{Group, group};
use super::glyphs::Glyph;
use super::metrics::Metrics;
use super::rect::Rect;
use super::shelves::Shelves;

/// A gap this wide (in em) parts two cells of a row, or a number and its title, unless the line's words stand as
/// wide apart everywhere.
const PARTING_EM: f32 = 0.92;
const PARTING_RATIO: f32 = 1.7;
/// A narrower gap never parts words; a wider one, alone in its line, does.
const LEAST_WORD_GAP_EM: f32 = 0.12;
/// Height of tall letters in em.
const SIZE_PER_EM: f32 = 0.7;
const LONE_WORD_GAP_EM: f32 = 0.2;

/// Columns of ink, from left to right, that no vertical line can part; as `(x0, x1)`.
pub(super) fn columns(rects: impl Iterator<Item = Rect>) -> Vec<(i32, i32)> {
    let mut spans: Vec<(i32, i32)> = rects.map(|rect| (rect.x0, rect.x1)).collect();
    spans.sort_unstable();
    let mut columns: Vec<(i32, i32)> = Vec::new();
    for (x0, x1) in spans {
        match columns.last_mut() {
            Some(last) if x0 <= last.1 => last.1 = last.1.max(x1),
            _ => columns.push((x0, x1)),
        }
    }
    columns
}

/// Widths of the gaps between consecutive columns.
pub(super) fn widths(columns: &[(i32, i32)]) -> Vec<f32> {
    columns
        .windows(2)
        .map(|pair| (pair[1].0 - pair[0].1) as f32)
        .collect()
}

/// The width of a character cell, if the columns stand in a grid of equal cells (monospaced type). `size` is the
/// height of tall letters.
pub(super) fn pitch(columns: &[(i32, i32)], size: f32) -> Option<f32> {
    // Letters that touch make wide columns, whose centres lie anywhere.
    let centres: Vec<f32> = columns
        .iter()
        .filter(|(x0, x1)| ((x1 - x0) as f32) < 1.05 * size)
        .map(|(x0, x1)| (x0 + x1) as f32 / 2.0)
        .collect();
    let steps: Vec<f32> = centres.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if steps.len() < 5 {
        return None;
    }
    let support = |pitch: f32| steps.iter().filter(|&&step| on_grid(step, pitch)).count();
    let (best, pitch) = (0..=60)
        .map(|index| size * (0.7 + 0.008 * index as f32))
        .map(|pitch| (support(pitch), pitch))
        .max_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)))?;
    (best * 100 >= steps.len() * 88).then_some(pitch)
}

/// Whether a distance is a whole number of cells, as well as pixels can tell.
pub(super) fn on_grid(distance: f32, pitch: f32) -> bool {
    let cells = distance / pitch;
    cells > 0.5 && (cells - cells.round()).abs() <= 0.13 + 0.01 * cells
}

/// How far above and below a line its gaps are followed, in em (a quarter of it for letters that stand across), and how wide a gap between columns is at least.
const GUTTER_REACH_EM: f32 = 4.0;
const GUTTER_EM: f32 = 0.75;

/// What stands above or below a gap.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beyond {
    /// Letters on both sides and none across: the gap goes on.
    Gap,
    /// Letters across the gap.
    Letters,
    Nothing,
}

/// What stands in the columns `gap` of some rows; letters up to `reach` beside them count.
fn beyond(around: &Shelves, glyphs: &[Glyph], gap: Range<i32>, rows: Range<i32>, reach: i32) -> Beyond {
    let (mut left, mut right) = (false, false);
    for index in around.between(rows.start, rows.end, gap.start - reach, gap.end + reach) {
        let rect = glyphs[index].rect;
        if rect.y1 <= rows.start || rect.y0 >= rows.end {
            continue;
        }
        if rect.x0 < gap.end && gap.start < rect.x1 {
            return Beyond::Letters;
        }
        left |= rect.x1 <= gap.start;
        right |= rect.x0 >= gap.end;
    }
    if left && right {
        Beyond::Gap
    } else {
        Beyond::Nothing
    }
}

/// Splits a group at gaps that are wide and stand out, or go on above and below; but not at one that letters of the lines above
/// and below stand across: those are the wide gaps of a justified line. `around` holds all glyphs of the page.
pub(super) fn part_cells(line: &Group, metrics: &Metrics, glyphs: &[Glyph], around: &Shelves) -> Vec<Group> {
    let columns = columns(line.glyphs.iter().map(|&index| glyphs[index].rect));
    let gaps = widths(&columns);
    let pitch = pitch(&columns, line.size);
    let mut words: Vec<f32> = gaps
        .iter()
        .copied()
        .filter(|&gap| gap >= 0.18 * metrics.em)
        .collect();
    words.sort_by(f32::total_cmp);
    let parts = |gap: f32| {
        if gap < PARTING_EM * metrics.em {
            return false;
        }
        // The median of the other gaps.
        let others = words.len() - 1;
        others == 0 || gap >= PARTING_RATIO * words[others.saturating_sub(1) / 2]
    };
    let reach = (GUTTER_REACH_EM * metrics.em) as i32;
    let parts = |gap: f32, x: i32| {
        if gap < GUTTER_EM * metrics.em {
            return false;
        }
        let middle = x - (gap / 4.0) as i32..x + (gap / 4.0) as i32;
        let rect = line.rect;
        let at = |reach: i32| {
            [rect.y0 - reach..rect.y0, rect.y1..rect.y1 + reach]
                .map(|rows| beyond(around, glyphs, middle.clone(), rows, reach))
        };
        match (at(reach), at(reach / 4)) {
            ([Beyond::Gap, Beyond::Gap], _) => true,
            (_, [Beyond::Letters, Beyond::Letters]) => false,
            _ => parts(gap),
        }
    };
    let cuts: Vec<i32> = gaps
        .iter()
        .zip(&columns)
        .zip(columns.windows(2))
        .filter(|&((&gap, _), pair)| {
            let step = (pair[1].0 + pair[1].1 - pair[0].0 - pair[0].1) as f32 / 2.0;
            parts(gap, (pair[0].1 + pair[1].0) / 2) && !pitch.is_some_and(|pitch| on_grid(step, pitch))
        })
        .map(|((_, column), _)| column.1)
        .collect();
    if cuts.is_empty() {
        return vec![line.clone()];
    }
    let mut cells: Vec<Vec<usize>> = vec![Vec::new(); cuts.len() + 1];
    for &index in &line.glyphs {
        cells[cuts.partition_point(|&cut| cut <= glyphs[index].rect.x0)].push(index);
    }
    cells
        .into_iter()
        .filter(|cell| !cell.is_empty())
        .map(|cell| group(cell, glyphs))
        .collect()
}

/// For each gap between `columns` whether it parts two words. `em` is in pixels.
///
/// Gaps between letters and gaps between words form two heaps; which is which depends on font, size and
/// justification, so each gap is judged by the gaps near it. In monospaced type the heaps overlap (the white around a
/// full stop is as wide as a space between two `m`), but there the grid of cells tells.
pub(super) fn word_gaps(columns: &[(i32, i32)], em: f32) -> Vec<bool> {
    const NEIGHBOURS: usize = 16;
    let gaps = widths(columns);
    (0..gaps.len())
        .map(|index| {
            let near = &gaps[index.saturating_sub(NEIGHBOURS)..(index + NEIGHBOURS + 1).min(gaps.len())];
            cells_apart(columns, index, em).map_or_else(
                || gaps[index] >= word_threshold(near, em) && !is_bearing(columns, index, em),
                |cells| cells >= 2,
            )
        })
        .collect()
}

/// Whether the white right of a narrow mark is that of its own cell: a full stop of monospaced type has as much of it on
/// its left, one that ends a sentence has none there.
fn is_bearing(columns: &[(i32, i32)], gap: usize, em: f32) -> bool {
    const NARROW_EM: f32 = 0.25;
    const WIDEST_EM: f32 = 0.45;
    let width = |gap: usize| (columns[gap + 1].0 - columns[gap].1) as f32;
    let narrow = ((columns[gap].1 - columns[gap].0) as f32) < NARROW_EM * em;
    narrow && gap > 0 && width(gap) < WIDEST_EM * em && width(gap - 1) >= 0.6 * width(gap)
}

/// How many character cells the columns on both sides of a gap are apart, if those around it stand in a grid.
fn cells_apart(columns: &[(i32, i32)], gap: usize, em: f32) -> Option<u32> {
    // Of the columns before and after, so that one side may be in other type.
    let around = [(5, 5), (8, 1), (1, 8)];
    around.into_iter().find_map(|(before, after)| {
        let near = &columns[(gap + 1).saturating_sub(before)..(gap + 1 + after).min(columns.len())];
        let pitch = pitch(near, SIZE_PER_EM * em)?;
        let step = (columns[gap + 1].0 + columns[gap + 1].1 - columns[gap].0 - columns[gap].1) as f32 / 2.0;
        on_grid(step, pitch).then(|| (step / pitch).round() as u32)
    })
}

/// The width from which a gap parts words: between the two heaps, where the step from one gap to the next wider one
/// is largest.
fn word_threshold(gaps: &[f32], em: f32) -> f32 {
    let least = LEAST_WORD_GAP_EM * em;
    let mut sorted: Vec<f32> = gaps.to_vec();
    sorted.sort_by(f32::total_cmp);
    let fallback = LONE_WORD_GAP_EM * em;
    let step = sorted
        .windows(2)
        .filter(|pair| pair[1] >= least && pair[0] <= 0.45 * em)
        // A pixel more or less means little among wide gaps and much among narrow ones.
        .map(|pair| ((pair[1] + 1.0) / (pair[0].max(0.0) + 1.0), pair[0], pair[1]))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match step {
        Some((ratio, low, high)) if ratio >= 1.35 => ((low + high) / 2.0).max(least),
        _ => fallback,
    }
}
