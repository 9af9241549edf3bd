//! Which of the groups of ink are text.

use ocellus_media::Gray;

use super::found::Found;
use super::glyph_group::group;
use super::glyphs::Glyph;
use super::metrics::{Metrics, measure_all};
use super::rect::Rect;

/// A lone mark is text if there is a line of text in its row, no farther than this.
const ROW_REACH_EM: f32 = 40.0;
/// A mark smaller than this, left or right of all text, is text only this near to a line.
const SPECK_EM: f32 = 0.2;
const SPECK_REACH_EM: f32 = 3.0;
/// Text has at least this share of even ground in its box; a picture has not.
const LEAST_GROUND: f32 = 0.4;
/// A few letters alone have more, taken with an em around them.
const LEAST_GROUND_OF_FEW: f32 = 0.55;
const LEAST_GROUND_OF_REGULAR: f32 = 0.2;

/// Leaves out dust, pictures and icons; gives lone marks the box of the line beside them.
pub(super) fn keep_text(lines: Vec<Found>, glyphs: &[Glyph], page: &Gray, letter: i32) -> Vec<Found> {
    let (pictures, lines): (Vec<Found>, Vec<Found>) = {
        let rects: Vec<Rect> = lines.iter().map(|line| line.group.rect).collect();
        lines
            .into_iter()
            .partition(|line| is_picture(line, glyphs, &rects, letter))
    };
    let lines = lines
        .into_iter()
        .filter(|line| !is_broken_rule(line, glyphs, letter));
    let even = Evenness::of(page);
    let (marks, mut text): (Vec<Found>, Vec<Found>) = lines
        .filter(|line| {
            let few = line.group.glyphs.len() <= 3;
            !(few
                && pictures
                    .iter()
                    .any(|picture| picture.group.rect.contains(&line.group.rect)))
        })
        .partition(|line| is_mark(line, letter));
    text.retain(|line| {
        if line.group.glyphs.len() <= 3 {
            let reach = line.metrics.em.max(letter as f32) as i32;
            return even.ground_share(page, &around(&line.group.rect, reach, page)) >= LEAST_GROUND_OF_FEW;
        }
        let share = even.ground_share(
            page,
            &around(&line.group.rect, line.group.rect.height() / 4, page),
        );
        share >= LEAST_GROUND || (share >= LEAST_GROUND_OF_REGULAR && is_regular(line, glyphs))
    });
    drop_faint(&mut text, page);
    drop_texture(&mut text);
    let solid: Vec<(Rect, Metrics)> = text.iter().map(|line| (line.group.rect, line.metrics)).collect();
    let (beside, alone): (Vec<Found>, Vec<Found>) = marks
        .into_iter()
        .partition(|mark| row_of(&mark.group.rect, &solid).is_some());
    for mut mark in beside {
        let Some(metrics) = row_of(&mark.group.rect, &solid) else {
            continue;
        };
        let rect = mark.group.rect;
        if rect.width().max(rect.height()) as f32 >= 0.1 * metrics.em && rect.width() * rect.height() >= 4 {
            mark.metrics = metrics;
            text.push(mark);
        }
    }
    let rows = rows_of_marks(alone, glyphs, letter);
    text.extend(
        rows.into_iter()
            .filter(|row| !is_broken_rule(row, glyphs, letter)),
    );
    text
}

/// Takes out what is far fainter than the text of the page: paper, shadows, the texture of pictures.
fn drop_faint(lines: &mut Vec<Found>, page: &Gray) {
    const FAINT: f32 = 0.2;
    const FAINT_IF_SHORT: f32 = 0.33;
    let contrasts: Vec<u8> = lines
        .iter()
        .map(|line| contrast(page, &line.group.rect))
        .collect();
    let mut weighted: Vec<(u8, usize)> = contrasts
        .iter()
        .zip(lines.iter())
        .map(|(&contrast, line)| (contrast, line.group.glyphs.len()))
        .collect();
    weighted.sort_unstable();
    let half = weighted.iter().map(|(_, glyphs)| glyphs).sum::<usize>() / 2;
    let mut sum = 0;
    let usual = weighted.iter().find(|(_, glyphs)| {
        sum += glyphs;
        sum > half
    });
    let usual = usual.map_or(0.0, |(contrast, _)| f32::from(*contrast));
    let mut contrasts = contrasts.into_iter();
    lines.retain(|line| {
        let share = if line.group.glyphs.len() <= 3 {
            FAINT_IF_SHORT
        } else {
            FAINT
        };
        contrasts
            .next()
            .is_some_and(|contrast| f32::from(contrast) >= share * usual)
    });
}

/// Difference between the levels of the 3rd and 97th percentile in the box.
fn contrast(page: &Gray, rect: &Rect) -> u8 {
    let mut levels: Vec<u8> = Vec::new();
    for y in rect.y0..rect.y1 {
        let row = y as usize * page.width as usize;
        levels.extend_from_slice(&page.data[row + rect.x0 as usize..row + rect.x1 as usize]);
    }
    let rank = levels.len() * 3 / 100;
    let last = levels.len() - 1;
    let low = *levels.select_nth_unstable(rank).1;
    let high = *levels.select_nth_unstable(last - rank).1;
    high - low
}

/// Takes out short lines if there are many, of all sizes: a picture or noise. The many short lines of a table are of
/// one size.
fn drop_texture(lines: &mut Vec<Found>) {
    const MANY: usize = 120;
    let is_short = |line: &Found| line.group.glyphs.len() <= 3;
    let mut heights: Vec<i32> = lines
        .iter()
        .filter(|line| is_short(line))
        .map(|line| line.group.rect.height())
        .collect();
    if heights.len() < MANY {
        return;
    }
    heights.sort_unstable();
    let (low, high) = (heights[heights.len() / 10], heights[heights.len() * 9 / 10]);
    if high * 5 > low * 9 {
        lines.retain(|line| !is_short(line));
    }
}

/// A lone shape that is no letter.
fn is_picture(line: &Found, glyphs: &[Glyph], rects: &[Rect], letter: i32) -> bool {
    let [glyph] = line.group.glyphs[..] else {
        return false;
    };
    let rect = line.group.rect;
    let (width, height) = (rect.width(), rect.height());
    let holds_another = || rects.iter().any(|other| *other != rect && rect.contains(other));
    let large = height > 4 * letter || (height * 5 > letter * 11 && holds_another());
    let solid = glyphs[glyph].area as i32 * 100 >= width * height * 92
        && width * 5 > letter * 4
        && height * 5 > letter * 4;
    let bar = height >= 2 * letter && height * 5 >= width * 16;
    large || solid || bar
}

/// A dot, dash or quote that no line took.
fn is_mark(line: &Found, letter: i32) -> bool {
    let height = line.group.rect.height();
    let low = height * 20 < letter * 9 || line.group.size < 0.35 * letter as f32;
    low && (line.group.glyphs.len() < 4 || height <= 3)
}

/// What is left of a rule: thin pieces of unlike widths in a row. Dashes of one row are alike.
fn is_broken_rule(line: &Found, glyphs: &[Glyph], letter: i32) -> bool {
    let rects = line.group.glyphs.iter().map(|&index| glyphs[index].rect);
    let (mut narrowest, mut widest, mut tallest) = (i32::MAX, 0, line.group.rect.height());
    for rect in rects {
        narrowest = narrowest.min(rect.width());
        widest = widest.max(rect.width());
        tallest = tallest.max(rect.height());
    }
    line.group.glyphs.len() >= 2 && tallest * 3 <= letter && widest > 3 * narrowest.max(2)
}

/// Measures of the nearest line of text in the row of a mark. A dash may stand for the contents of a cell, and so may a dot
/// between other cells; a speck in the margin does not.
fn row_of(mark: &Rect, lines: &[(Rect, Metrics)]) -> Option<Metrics> {
    let middle = (mark.y0 + mark.y1) as f32 / 2.0;
    let size = mark.width().max(mark.height()) as f32;
    let in_margin = lines.iter().all(|(other, _)| mark.x1 <= other.x0)
        || lines.iter().all(|(other, _)| other.x1 <= mark.x0);
    let reach = |em: f32| match in_margin && size < SPECK_EM * em {
        true => SPECK_REACH_EM * em,
        false => ROW_REACH_EM * em,
    };
    lines
        .iter()
        .filter(|(_, metrics)| metrics.top < middle && middle < metrics.bottom)
        .map(|(other, metrics)| (other.gap_x(mark).max(0) as f32, metrics))
        .filter(|(gap, metrics)| *gap <= reach(metrics.em))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, metrics)| *metrics)
}

/// Rows of dots and dashes: three and more side by side are no dust.
fn rows_of_marks(mut marks: Vec<Found>, glyphs: &[Glyph], letter: i32) -> Vec<Found> {
    marks.retain(|mark| mark.group.rect.width().max(mark.group.rect.height()) * 8 >= letter);
    marks.sort_by_key(|mark| (mark.group.rect.x0, mark.group.rect.y0));
    let mut rows: Vec<(Rect, Vec<usize>)> = Vec::new();
    for mark in marks {
        let rect = mark.group.rect;
        let row = rows.iter_mut().find(|(row, _)| {
            let level = (row.y0 + row.y1 - rect.y0 - rect.y1).abs() <= letter;
            level && row.gap_x(&rect) * 2 <= letter * 3
        });
        match row {
            Some((row, members)) => {
                *row = row.union(&rect);
                members.extend(mark.group.glyphs);
            }
            None => rows.push((rect, mark.group.glyphs)),
        }
    }
    let groups: Vec<_> = rows
        .into_iter()
        .filter(|(_, members)| members.len() >= 3)
        .map(|(_, members)| group(members, glyphs))
        .collect();
    let measured = measure_all(&groups, glyphs);
    let tall = letter as f32 * 1.3;
    groups
        .into_iter()
        .zip(measured)
        .map(|(group, mut metrics)| {
            // Dots stand on the baseline, dashes a third of the way up.
            let middle = (group.rect.y0 + group.rect.y1) as f32 / 2.0;
            metrics.top = middle - 0.7 * tall;
            metrics.bottom = middle + 0.6 * tall;
            metrics.em = 1.41 * tall;
            Found { group, metrics }
        })
        .collect()
}

/// The box and `margin` pixels around it, within the page.
fn around(rect: &Rect, margin: i32, page: &Gray) -> Rect {
    Rect {
        x0: (rect.x0 - margin).max(0),
        y0: (rect.y0 - margin).max(0),
        x1: (rect.x1 + margin).min(page.width as i32),
        y1: (rect.y1 + margin).min(page.height as i32),
    }
}

/// Most of the line's letters stand on its baseline.
fn is_regular(line: &Found, glyphs: &[Glyph]) -> bool {
    let size = line.group.size;
    let letters = line
        .group
        .glyphs
        .iter()
        .map(|&index| glyphs[index].rect)
        .filter(|rect| rect.height() as f32 >= 0.4 * size);
    let slack = (0.1 * size).max(1.0);
    let (standing, count) = letters.fold((0, 0), |(standing, count), rect| {
        let stands = (rect.y1 as f32 - line.metrics.baseline).abs() <= slack;
        (standing + usize::from(stands), count + 1)
    });
    count >= 6 && standing * 10 >= count * 6
}

/// How much levels differ where there is nothing to see.
struct Evenness {
    slack: usize,
}

impl Evenness {
    /// From the median difference of neighbouring pixels.
    fn of(page: &Gray) -> Self {
        let mut histogram = [0usize; 256];
        let step = (page.data.len() / 200_000).max(1);
        for pair in page.data.windows(2).step_by(step) {
            histogram[usize::from(pair[0].abs_diff(pair[1]))] += 1;
        }
        let half = histogram.iter().sum::<usize>() / 2;
        let mut sum = 0;
        let median = histogram
            .iter()
            .position(|count| {
                sum += count;
                sum > half
            })
            .unwrap_or(0);
        Self {
            slack: (3 * median).clamp(10, 40),
        }
    }

    /// The share of pixels in the box whose level is within the slack of the most common one.
    fn ground_share(&self, page: &Gray, rect: &Rect) -> f32 {
        let mut sums = [0usize; 257];
        for y in rect.y0..rect.y1 {
            let row = y as usize * page.width as usize;
            for &level in &page.data[row + rect.x0 as usize..row + rect.x1 as usize] {
                sums[usize::from(level) + 1] += 1;
            }
        }
        for level in 0..256 {
            sums[level + 1] += sums[level];
        }
        let most = (0..256usize)
            .map(|level| sums[(level + self.slack + 1).min(256)] - sums[level.saturating_sub(self.slack)])
            .max()
            .unwrap_or(0);
        most as f32 / sums[256].max(1) as f32
    }
}
