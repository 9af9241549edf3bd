//! The pieces of ink that may be letters, and the parting of letters that touch across two lines.

use super::components::{Components, Run};
use super::rect::Rect;
use super::shelves::Shelves;

/// A letter, a part of one, or several that touch.
#[derive(Debug, Clone)]
pub(super) struct Glyph {
    pub rect: Rect,
    /// Pixels of ink.
    pub area: u32,
    pub component: u32,
}

/// More glyphs than this are not a page of text. Such a page keeps only those of letter size.
const MOST_GLYPHS: usize = 60_000;

/// Components that are neither dust nor pictures. `letter` is the usual letter height in pixels.
pub(super) fn collect(
    components: &Components,
    page_width: usize,
    page_height: usize,
    letter: i32,
) -> Vec<Glyph> {
    let (page_width, page_height) = (page_width as i32, page_height as i32);
    let mut runs = vec![0u32; components.all.len()];
    for run in &components.runs {
        runs[run.component as usize] += 1;
    }
    let plausible = |rect: &Rect, area: u32, runs: u32| {
        let (width, height) = (rect.width(), rect.height());
        let dust = area < 2 || (area < 4 && letter >= 14);
        let picture = height > page_height / 3 && height > 4 * letter
            || (width > page_width / 2 && height > 3 * letter)
            || height > 25 * letter;
        let rule = width > 8 * letter && height <= letter / 3 || height > 4 * letter && width * 15 < height;
        // The strokes of letters are thin; runs of a blob are as long as it is high.
        let blob = area as i32 * 2 >= runs as i32 * height && width.min(height) * 5 > 8 * letter;
        !dust && !picture && !rule && !blob
    };
    let glyphs = |smallest: i32| -> Vec<Glyph> {
        components
            .all
            .iter()
            .enumerate()
            .filter(|(index, c)| plausible(&c.rect, c.area, runs[*index]) && c.rect.height() >= smallest)
            .map(|(index, c)| Glyph {
                rect: c.rect,
                area: c.area,
                component: index as u32,
            })
            .collect()
    };
    let mut chosen = glyphs(1);
    if chosen.len() > MOST_GLYPHS {
        chosen = glyphs((letter / 2).max(4));
        chosen.truncate(MOST_GLYPHS);
    }
    drop_frames(&mut chosen, letter);
    chosen
}

/// Takes out the outlines of buttons and boxes, which are wide or large shapes with letters inside, and icons, which
/// are large and about square shapes with little inside, together with that.
fn drop_frames(glyphs: &mut Vec<Glyph>, letter: i32) {
    let rects: Vec<Rect> = glyphs.iter().map(|glyph| glyph.rect).collect();
    let shelves = Shelves::new(&rects, letter);
    let mut keep = vec![true; rects.len()];
    for (index, frame) in rects.iter().enumerate() {
        let height = frame.height();
        let wide = frame.width() * 5 >= height * 11 && height * 10 >= letter * 14;
        let large = height * 5 >= letter * 11;
        if !wide && !large {
            continue;
        }
        let mut inside: Vec<usize> = shelves
            .between(frame.y0, frame.y1, frame.x0 + 1, frame.x1)
            .filter(|&other| other != index && frame.contains(&rects[other]))
            .collect();
        inside.sort_unstable();
        inside.dedup();
        let is_letter = |other: &&usize| {
            let inner = rects[**other].height();
            inner * 5 >= height.min(2 * letter) && inner * 5 <= height * 4
        };
        let letters = inside.iter().filter(is_letter).count();
        if letters >= 2 || (letters == 1 && large && !wide) {
            keep[index] = false;
            if !wide && inside.len() <= 3 && height <= 8 * letter {
                inside.iter().for_each(|&other| keep[other] = false);
            }
        }
    }
    let mut keep = keep.into_iter();
    glyphs.retain(|_| keep.next().expect("one flag per glyph"));
}

/// Runs of each component, for those that have to be cut.
fn runs_of(components: &Components, component: u32) -> impl Iterator<Item = &Run> {
    let rect = components.all[component as usize].rect;
    let first = components.all[component as usize].first_run as usize;
    components.runs[first..]
        .iter()
        .take_while(move |run| (run.y as i32) < rect.y1)
        .filter(move |run| run.component == component)
}

/// Cuts glyphs that reach over two lines of text, in the row of least ink between the lines.
pub(super) fn part_lines(glyphs: &mut Vec<Glyph>, components: &Components, letter: i32) {
    for _ in 0..3 {
        let rects: Vec<Rect> = glyphs.iter().map(|glyph| glyph.rect).collect();
        let shelves = Shelves::new(&rects, letter);
        let cuts: Vec<(usize, i32, i32)> = (0..glyphs.len())
            .filter_map(|index| Some((index, between_lines(&rects, &shelves, index, letter)?)))
            .map(|(index, (top, bottom))| (index, top, bottom))
            .collect();
        if cuts.is_empty() {
            return;
        }
        for (index, top, bottom) in cuts {
            if let Some((upper, lower)) = cut(&glyphs[index], components, top, bottom) {
                glyphs[index] = upper;
                glyphs.push(lower);
            }
        }
    }
}

/// The rows between two lines of neighbours that the glyph reaches over: `top..=bottom` may hold the cut.
fn between_lines(rects: &[Rect], shelves: &Shelves, index: usize, letter: i32) -> Option<(i32, i32)> {
    let rect = rects[index];
    let height = rect.height();
    if height * 2 < letter * 3 || height > 4 * letter {
        return None;
    }
    let reach = letter;
    let mut above: Option<i32> = None;
    let mut below: Option<i32> = None;
    let (mut uppers, mut lowers) = (0, 0);
    let mut seen: Vec<usize> = shelves
        .between(rect.y0, rect.y1, rect.x0 - 3 * reach, rect.x1 + reach)
        .collect();
    seen.sort_unstable();
    seen.dedup();
    for other in seen.into_iter().filter(|&other| other != index) {
        let neighbour = rects[other];
        let size = neighbour.height();
        let near = neighbour.gap_x(&rect) <= reach && neighbour.gap_x(&rect) >= -2;
        let inside = neighbour.y0 >= rect.y0 - size / 4 && neighbour.y1 <= rect.y1 + size / 4;
        if !near || !inside || size * 4 < height || size * 5 > height * 3 {
            continue;
        }
        // Upper neighbours end, lower ones begin, near the middle.
        let middle = (rect.y0 + rect.y1) / 2;
        if neighbour.y0 + neighbour.y1 < 2 * middle {
            uppers += 1;
            above = Some(above.map_or(neighbour.y1, |y| y.max(neighbour.y1)));
        } else {
            lowers += 1;
            below = Some(below.map_or(neighbour.y0, |y| y.min(neighbour.y0)));
        }
    }
    let (above, below) = (above?, below?);
    // Both lines have to show more than one letter here, and there must be a way between them.
    (uppers >= 2 && lowers >= 2 && below - above > -height / 6)
        .then(|| (above.min(below) - 1, above.max(below)))
}

fn cut(glyph: &Glyph, components: &Components, top: i32, bottom: i32) -> Option<(Glyph, Glyph)> {
    let rect = glyph.rect;
    let (top, bottom) = (top.max(rect.y0 + 1), bottom.min(rect.y1 - 1));
    if top > bottom {
        return None;
    }
    let mine = |run: &&Run| (rect.y0..rect.y1).contains(&(run.y as i32));
    let mut ink = vec![0u32; (bottom - top + 1) as usize];
    for run in runs_of(components, glyph.component).filter(mine) {
        if (top..=bottom).contains(&(run.y as i32)) {
            ink[(run.y as i32 - top) as usize] += run.length();
        }
    }
    let (row, _) = ink.iter().enumerate().min_by_key(|&(_, ink)| ink)?;
    let row = top + row as i32;
    let part = |rows: std::ops::Range<i32>| {
        let mut around: Option<Rect> = None;
        let mut area = 0;
        for run in runs_of(components, glyph.component).filter(|run| rows.contains(&(run.y as i32))) {
            let y = run.y as i32;
            let rect = Rect {
                x0: run.x0 as i32,
                y0: y,
                x1: run.x1 as i32,
                y1: y + 1,
            };
            around = Some(around.map_or(rect, |around| around.union(&rect)));
            area += run.length();
        }
        Some(Glyph {
            rect: around?,
            area,
            component: glyph.component,
        })
    };
    Some((part(rect.y0..row)?, part(row..rect.y1)?))
}
