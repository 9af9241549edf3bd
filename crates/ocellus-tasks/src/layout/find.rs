//! From a picture to its lines.

use ocellus_media::{Gray, Rgb, strip};

use super::components::{Components, Mask, Of, label};
use super::direction::Direction;
use super::foreign::Owners;
use super::found::Found;
use super::glyph_group::Group;
use super::glyphs::{self, Glyph};
use super::metrics::measure_all;
use super::order::reading_order;
use super::page::{Chunk, LINES, Line, Page};
use super::rect::Rect;
use super::rotate::Turn;
use super::rows::Item;
use super::rules::{self, Rules};
use super::shelves::Shelves;
use super::{chunks, direction, filter, gaps, group, polarity, screens, skew, threshold};

/// Larger pages are processed at half, quarter... size, unless that makes letters vanish.
const MOST_PX: u64 = 8_400_000;
/// Letters up to this height, px, are not seen any more at half the size.
const SMALL_LETTER: i32 = 12;
/// Less skew than this is left as it is.
const LEAST_SKEW_DEGREES: f32 = 0.15;

/// Finds the lines of text of a page, in reading order.
///
/// Never fails: a page without text is `blank`. Time and memory grow with the number of pixels, up to a bound; only where nothing is seen
/// of a large page is it looked at in more detail. Lines are
/// found in any direction, but what stands on its head is not told from what does not: see [`find_lines_at`].
pub fn find_lines(page: &Rgb) -> Page {
    find(page, None)
}

/// The same, of a page whose lines fall by about `degrees` to the right; by 180, if it stands on its head.
pub fn find_lines_at(page: &Rgb, degrees: f32) -> Page {
    find(page, Some(degrees))
}

fn find(page: &Rgb, about: Option<f32>) -> Page {
    let blank = Page {
        width: page.width,
        height: page.height,
        blank: true,
        skew_degrees: 0.0,
        lines: Vec::new(),
    };
    if page.width < 3 || page.height < 3 {
        return blank;
    }
    let mut sizes = vec![strip::luma(page)];
    while let Some(finest) = sizes.last()
        && u64::from(finest.width) * u64::from(finest.height) > MOST_PX
    {
        sizes.push(halve(finest));
    }
    let (coarsest, mut first) = (sizes.len() - 1, None);
    for (halved, grey) in sizes.iter().enumerate().rev() {
        let smallest = if halved == coarsest {
            None
        } else {
            Some(SMALL_LETTER)
        };
        let Some(found) = at_size(page, grey, 1 << halved, about, smallest) else {
            continue;
        };
        if !found.blank {
            return found;
        }
        first = first.or(Some(found));
    }
    first.unwrap_or(blank)
}

/// The lines that are seen at a size of the page, which is `scale` times smaller; nothing where there is no ink, or where letters are
/// higher than `smallest` and so would have been seen at half the size.
fn at_size(page: &Rgb, grey: &Gray, scale: u32, about: Option<f32>, smallest: Option<i32>) -> Option<Page> {
    let (inked, turned, degrees) = levelled(grey, about)?;
    if smallest.is_some_and(|smallest| inked.letter > smallest) {
        return None;
    }
    let turn = (degrees != 0.0).then(|| Turn::levelling(degrees, page.width, page.height));
    let mut lines = inked.lines(turned.as_ref().unwrap_or(grey), scale as f32, turn);
    // What lies outside the page is its mirror image.
    let within = |[x1, y1, x2, y2]: [f32; 4]| {
        (0.0..page.width as f32).contains(&((x1 + x2) / 2.0))
            && (0.0..page.height as f32).contains(&((y1 + y2) / 2.0))
    };
    lines.retain(|line| within(line.bbox));
    for bbox in lines.iter_mut().flat_map(Line::boxes_mut) {
        *bbox = inside(*bbox, page.width as f32, page.height as f32);
    }
    Some(Page {
        width: page.width,
        height: page.height,
        blank: lines.is_empty(),
        skew_degrees: degrees,
        lines,
    })
}

/// The ink of the page with level lines, that page if it had to be turned, and by how many degrees its lines fell: from
/// `about` so many, or from what is seen.
fn levelled(grey: &Gray, about: Option<f32>) -> Option<(Inked, Option<Gray>, f32)> {
    let turned = |degrees: f32| -> Option<(Inked, Option<Gray>, f32)> {
        let upright = Turn::levelling(degrees, grey.width, grey.height).apply(grey);
        Some((Inked::of(&upright)?, Some(upright), normal(degrees)))
    };
    let (coarse, found) = match about {
        Some(degrees) => (degrees, turned(degrees)?),
        None => {
            let inked = Inked::of(grey)?;
            let degrees = match direction::estimate(&inked.rects(), inked.letter) {
                Direction::Level => 0.0,
                Direction::Slanted(degrees) => skew::estimate_about(&inked.rects(), inked.letter, degrees),
                Direction::Upright(degrees) => degrees,
            };
            let found = if degrees == 0.0 {
                (inked, None, 0.0)
            } else {
                turned(degrees)?
            };
            (degrees, found)
        }
    };
    let rest = skew::estimate(&found.0.rects(), found.0.letter);
    if rest.abs() < LEAST_SKEW_DEGREES {
        return Some(found);
    }
    turned(coarse + rest)
}

/// The same direction from above -180 to 180.
fn normal(degrees: f32) -> f32 {
    let around = degrees.rem_euclid(360.0);
    if around > 180.0 { around - 360.0 } else { around }
}

/// The part of a box inside the page, at least a pixel wide and high.
fn inside([x1, y1, x2, y2]: [f32; 4], width: f32, height: f32) -> [f32; 4] {
    let (x1, y1) = (x1.clamp(0.0, width - 1.0), y1.clamp(0.0, height - 1.0));
    [x1, y1, x2.clamp(x1 + 1.0, width), y2.clamp(y1 + 1.0, height)]
}

/// Half the size, by means of 2x2 pixels.
fn halve(page: &Gray) -> Gray {
    let (width, height) = (page.width / 2, page.height / 2);
    let stride = page.width as usize;
    let mut data = Vec::with_capacity(width as usize * height as usize);
    for rows in page.data.chunks_exact(2 * stride) {
        let (above, below) = rows.split_at(stride);
        data.extend(above.chunks_exact(2).zip(below.chunks_exact(2)).map(|(a, b)| {
            let sum = u32::from(a[0]) + u32::from(a[1]) + u32::from(b[0]) + u32::from(b[1]);
            ((sum + 2) / 4) as u8
        }));
    }
    Gray { width, height, data }
}

/// A page's ink, taken apart.
struct Inked {
    height: usize,
    components: Components,
    glyphs: Vec<Glyph>,
    rules: Rules,
    /// Usual height of a letter.
    letter: i32,
}

impl Inked {
    fn of(grey: &Gray) -> Option<Self> {
        let mut ink: Mask = polarity::ink(&threshold::binarise(grey)?);
        let mut components = label(&ink, Of::Ink);
        if screens::erase(&mut ink, &components) {
            components = label(&ink, Of::Ink);
        }
        let letter = rules::letter_height(&components)?;
        let rules = rules::erase(&mut ink, &components, letter);
        drop(components);
        if !rules.is_empty() {
            // Coloured cells stand alone now that the grid is gone, and can be told from ink.
            ink = polarity::ink(&ink);
        }
        let components = label(&ink, Of::Ink);
        let mut glyphs = glyphs::collect(&components, ink.width, ink.height, letter);
        glyphs::part_lines(&mut glyphs, &components, letter);
        Some(Self {
            height: ink.height,
            components,
            glyphs,
            rules,
            letter,
        })
    }

    fn rects(&self) -> Vec<Rect> {
        self.glyphs.iter().map(|glyph| glyph.rect).collect()
    }

    /// The lines in reading order, in pixels of the page before any halving or turning.
    fn lines(&self, grey: &Gray, scale: f32, turn: Option<Turn>) -> Vec<Line> {
        let groups = group::lines(&self.glyphs, &self.rules.vertical, self.letter);
        let metrics = measure_all(&groups, &self.glyphs);
        let rects = self.rects();
        let around = Shelves::new(&rects, self.letter);
        let cells: Vec<Group> = groups
            .iter()
            .zip(&metrics)
            .flat_map(|(group, metrics)| gaps::part_cells(group, metrics, &self.glyphs, &around))
            .collect();
        let metrics = measure_all(&cells, &self.glyphs);
        let found = cells
            .into_iter()
            .zip(metrics)
            .map(|(group, metrics)| Found { group, metrics })
            .collect();
        let mut found: Vec<Found> = filter::keep_text(found, &self.glyphs, grey, self.letter);
        found.truncate(LINES);

        let items: Vec<Item> = found
            .iter()
            .map(|line| Item {
                bbox: self.bbox(line),
                em: line.metrics.em,
            })
            .collect();
        let owners = Owners::new(&self.components, &self.glyphs, &found);
        reading_order(&items)
            .into_iter()
            .map(|index| self.line(&found[index], index, &owners, scale, turn))
            .collect()
    }

    /// Ink in x, ascent to descent in y, within the page.
    fn bbox(&self, line: &Found) -> [f32; 4] {
        let rect = line.group.rect;
        let (top, bottom) = (
            line.metrics.top.max(0.0),
            line.metrics.bottom.min(self.height as f32),
        );
        [rect.x0 as f32, top, rect.x1 as f32, bottom.max(top + 1.0)]
    }

    fn line(&self, line: &Found, index: usize, owners: &Owners, scale: f32, turn: Option<Turn>) -> Line {
        let [_, top, _, bottom] = self.bbox(line);
        let columns = gaps::columns(line.group.glyphs.iter().map(|&glyph| self.glyphs[glyph].rect));
        let enlarge = |[x1, y1, x2, y2]: [f32; 4]| [x1 * scale, y1 * scale, x2 * scale, y2 * scale];
        let onto_page = |upright: [f32; 4]| turn.map_or(upright, |turn| turn.back_box(upright));
        let chunks: Vec<Chunk> = chunks::cut(&columns, bottom - top, line.metrics.em)
            .into_iter()
            .map(|cut| {
                let ink = [
                    columns[cut.first].0 as f32,
                    top,
                    columns[cut.last].1 as f32,
                    bottom,
                ];
                let inside = |rect: &&Rect| rect.x0 as f32 >= ink[0] && rect.x1 as f32 <= ink[2];
                let glyphs = line
                    .group
                    .glyphs
                    .iter()
                    .map(|&glyph| &self.glyphs[glyph].rect)
                    .filter(inside);
                let (ink_top, ink_bottom) = glyphs.fold((top, bottom), |(top, bottom), rect| {
                    (top.min(rect.y0 as f32), bottom.max(rect.y1 as f32))
                });
                let strip = chunks::strip_rect(ink, ink_top, ink_bottom);
                let foreign = owners.foreign(index, strip, ink, &self.rules);
                Chunk {
                    bbox: onto_page(enlarge(ink)),
                    joined_by_space: cut.after_space,
                    strip: enlarge([strip.x0, strip.y0, strip.x1, strip.y1].map(|side| side as f32)),
                    foreign: foreign.into_iter().map(enlarge).collect(),
                }
            })
            .collect();
        Line {
            bbox: onto_page(enlarge(self.bbox(line))),
            em_px: line.metrics.em * scale,
            chunks,
            upright: enlarge(self.bbox(line)),
        }
    }
}
