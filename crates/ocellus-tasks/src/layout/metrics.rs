//! The font of a line, as far as its box needs it: baseline, ascent, descent and em.

use super::glyph_group::Group;
use super::glyphs::Glyph;
use super::rect::Rect;

/// Vertical measures of a line in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metrics {
    pub baseline: f32,
    /// Height of `x`; equal to `tall` if the line shows only one height.
    pub x_height: f32,
    /// Height of ascenders and capitals above the baseline.
    pub tall: f32,
    /// Depth of descenders below the baseline, seen or assumed.
    pub descent: f32,
    pub top: f32,
    pub bottom: f32,
    pub em: f32,
    /// Glyphs that are square and of several pieces: Chinese, Japanese or Korean.
    pub ideographic: bool,
    /// The line shows both letters with and without ascenders.
    two_heights: bool,
    letters: usize,
}

/// Descenders of common text fonts are this part of the ascenders.
const DESCENT_OF_TALL: f32 = 0.3;

/// Measures all lines; those that show one height of letters only learn from the others which one it is.
pub(super) fn measure_all(groups: &[Group], glyphs: &[Glyph]) -> Vec<Metrics> {
    let alone: Vec<Metrics> = groups.iter().map(|group| measure(group, glyphs)).collect();
    let known: Vec<&Metrics> = alone
        .iter()
        .filter(|line| line.two_heights && !line.ideographic && line.letters >= 8)
        .collect();
    alone.iter().map(|line| complete(*line, &known)).collect()
}

fn measure(group: &Group, glyphs: &[Glyph]) -> Metrics {
    let rects: Vec<Rect> = group.glyphs.iter().map(|&index| glyphs[index].rect).collect();
    let letters: Vec<Rect> = rects
        .iter()
        .copied()
        .filter(|rect| rect.height() as f32 >= 0.4 * group.size)
        .collect();
    let baseline = foot(&letters, group.size);
    let slack = (0.08 * group.size).max(1.0);
    let mut heights: Vec<f32> = letters
        .iter()
        .filter(|rect| rect.y1 as f32 >= baseline - slack)
        .map(|rect| baseline - rect.y0 as f32)
        .filter(|&height| height >= 0.4 * group.size)
        .collect();
    heights.sort_by(f32::total_cmp);
    let (tall, x_height) = clusters(&heights).unwrap_or((group.size, group.size));

    let mut depths: Vec<f32> = letters
        .iter()
        .map(|rect| rect.y1 as f32 - baseline)
        .filter(|&depth| depth > 0.15 * tall && depth < 0.55 * tall)
        .collect();
    depths.sort_by(f32::total_cmp);
    let deep = depths.get(depths.len() * 4 / 5).copied().unwrap_or(0.0);

    let mut metrics = Metrics {
        baseline,
        x_height,
        tall,
        descent: deep,
        top: 0.0,
        bottom: 0.0,
        em: EM_OF_TALL * tall,
        ideographic: false,
        two_heights: x_height < 0.9 * tall,
        letters: letters.len(),
    };
    let (top, bottom) = (
        quantile(&letters, |rect| rect.y0, 0.06),
        quantile(&letters, |rect| rect.y1, 0.94),
    );
    metrics.ideographic = is_ideographic(&rects, bottom - top);
    if metrics.ideographic {
        metrics.top = top;
        metrics.bottom = bottom;
        metrics.em = (bottom - top) / 0.92;
    }
    metrics
}

/// Em of a font whose ascenders are 1 high.
const EM_OF_TALL: f32 = 1.41;

fn quantile(rects: &[Rect], side: fn(&Rect) -> i32, share: f32) -> f32 {
    let mut values: Vec<i32> = rects.iter().map(side).collect();
    values.sort_unstable();
    values[((values.len() - 1) as f32 * share).round() as usize] as f32
}

/// The row on which most letters stand.
fn foot(letters: &[Rect], size: f32) -> f32 {
    let slack = (0.06 * size).max(1.0) as i32;
    let weight = |rect: &Rect| rect.width().min(2 * rect.height());
    let support = |y: i32| -> i32 {
        letters
            .iter()
            .filter(|rect| (rect.y1 - y).abs() <= slack)
            .map(weight)
            .sum()
    };
    let mut rows: Vec<i32> = letters.iter().map(|rect| rect.y1).collect();
    rows.sort_unstable();
    rows.dedup();
    let best = rows.into_iter().max_by_key(|&y| (support(y), y)).unwrap_or(0);
    let near = letters.iter().filter(|rect| (rect.y1 - best).abs() <= slack);
    let (sum, count) = near.fold((0i64, 0i64), |(sum, count), rect| {
        (
            sum + i64::from(rect.y1) * i64::from(weight(rect)),
            count + i64::from(weight(rect)),
        )
    });
    sum as f32 / count.max(1) as f32
}

/// The height of tall letters and the height of `x`, from sorted heights above the baseline.
fn clusters(heights: &[f32]) -> Option<(f32, f32)> {
    let count = heights.len();
    let enough = if count < 6 { 1 } else { (count / 16).max(2) };
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len().max(1) as f32;
    // The highest level that several letters reach: a lone bracket or integral sign is not the ascent.
    let tall = (0..count).rev().find_map(|last| {
        let first = heights[..=last].partition_point(|&height| height < 0.93 * heights[last]);
        (last + 1 - first >= enough).then(|| mean(&heights[first..=last]))
    })?;
    let low = heights.partition_point(|&height| height < 0.55 * tall);
    let high = heights.partition_point(|&height| height < 0.84 * tall);
    let x = (low..high)
        .map(|index| {
            let end = heights[..high].partition_point(|&height| height <= 1.08 * heights[index]);
            (end - index, index, end)
        })
        .max_by_key(|&(support, index, _)| (support, std::cmp::Reverse(index)));
    match x {
        Some((support, first, end)) if support * 8 >= count => Some((tall, mean(&heights[first..end]))),
        _ => Some((tall, tall)),
    }
}

/// Whether at least a fifth of the columns of ink are square and made of several pieces, as ideographs are.
fn is_ideographic(rects: &[Rect], height: f32) -> bool {
    let mut columns: Vec<(Rect, usize)> = Vec::new();
    for rect in rects {
        match columns.last_mut() {
            Some((column, pieces)) if rect.x0 < column.x1 => {
                *column = column.union(rect);
                *pieces += 1;
            }
            _ => columns.push((*rect, 1)),
        }
    }
    let square = |&&(rect, pieces): &&(Rect, usize)| {
        let (w, h) = (rect.width() as f32, rect.height() as f32);
        pieces >= 2 && w >= 0.6 * height && w <= 1.3 * height && h >= 0.7 * height
    };
    let squares = columns.iter().filter(square).count();
    squares >= 1 && squares * 5 >= columns.len()
}

/// Fills in what the line itself does not show.
fn complete(mut line: Metrics, known: &[&Metrics]) -> Metrics {
    if line.ideographic {
        let slack = 0.04 * (line.bottom - line.top);
        line.top -= slack;
        line.bottom += slack;
        return line;
    }
    let alike = |a: f32, b: f32| (a - b).abs() <= 0.08 * b + 0.5;
    let nearest = |fits: &dyn Fn(&Metrics) -> bool| {
        known
            .iter()
            .filter(|other| fits(other))
            .map(|other| ((other.baseline - line.baseline).abs(), **other))
            .min_by(|a, b| a.0.total_cmp(&b.0))
    };
    if line.two_heights {
        // `tall` may be no more than the height of a `t`.
        let fuller = nearest(&|other| alike(line.x_height, other.x_height) && line.letters < other.letters);
        let tall = fuller.map_or(line.tall, |(_, other)| other.tall);
        if tall > line.tall && tall < 1.35 * line.tall {
            line.tall = tall;
        }
    } else {
        let as_x = nearest(&|other| alike(line.tall, other.x_height));
        let as_tall = nearest(&|other| alike(line.tall, other.tall));
        let deep = line.descent > 0.4 * line.tall;
        let is_x = match (as_x, as_tall) {
            (Some((near_x, _)), Some((near_tall, _))) => deep || near_x < near_tall,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => deep,
        };
        if is_x {
            let ratio = as_x.map_or(1.45, |(_, other)| other.tall / other.x_height);
            line.x_height = line.tall;
            line.tall *= ratio;
        }
    }
    line.em = EM_OF_TALL * line.tall;
    line.descent = line.descent.clamp(DESCENT_OF_TALL * line.tall, 0.42 * line.tall);
    line.top = line.baseline - line.tall;
    line.bottom = line.baseline + line.descent;
    line
}
