//! Samples cut from a drawn page by what cuts pages when they are read: the same finder of lines, the same strips.

use std::ops::RangeInclusive;

use ocellus_media::Rgb;
use ocellus_tasks::layout::{STRIP_HEIGHT_PX, StripPlace, find_lines, strip_places, strips};

use crate::curriculum::Curriculum;
use crate::page::{Page, PageLine};
use crate::sample::Sample;

/// A character with the middle of its height within these shares of a strip's height is read from it.
const MIDDLE: RangeInclusive<f32> = 0.25..=0.75;
/// More of a character than this in a strip that does not hold its middle makes a strip that nobody can read for certain.
const MOST_OF_A_NEIGHBOUR: f32 = 0.3;

/// A character in pixels of a strip.
struct Placed {
    c: char,
    left: f32,
    right: f32,
    line: usize,
}

/// The strips of `page` whose text is certain. A strip that the finder took from where nothing is written has no text.
pub(crate) fn samples(page: &Page, curriculum: &Curriculum) -> Vec<Sample> {
    let image = &page.image;
    let rgb = Rgb {
        width: image.width,
        height: image.height,
        data: image.data.iter().flat_map(|v| [*v; 3]).collect(),
    };
    let found = find_lines(&rgb);
    let places = strip_places(&found);
    let cut = strips(&rgb, &found);
    let certain = cut.into_iter().zip(places).filter_map(|(image, place)| {
        let (text, spans) = read(&page.lines, &place)?;
        let fits = spans.len() <= curriculum.max_chars
            && image.width as usize <= curriculum.max_cells * STRIP_HEIGHT_PX as usize;
        fits.then_some(Sample { text, image, spans })
    });
    certain.collect()
}

/// The text in a strip with the extent of its characters; nothing where a character is there in part.
fn read(lines: &[PageLine], place: &StripPlace) -> Option<(String, Vec<(f32, f32)>)> {
    let (width, height) = (place.width_px(), STRIP_HEIGHT_PX as f32);
    let mut all = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let (mut taken, mut from, mut to) = (0, 0, 0);
        let mut in_part = false;
        for (i, (quad, c)) in line.chars.iter().zip(line.text.chars()).enumerate() {
            let [a, b, d, e] = quad.map(|corner| place.on_strip(corner));
            let (left, right) = (0.5 * (a[0] + e[0]), 0.5 * (b[0] + d[0]));
            let (top, bottom) = (0.5 * (a[1] + b[1]), 0.5 * (d[1] + e[1]));
            // Upside down or on its side: no strip of today holds it.
            if right <= left || bottom <= top {
                continue;
            }
            let across = (right.min(width) - left.max(0.0)) / (right - left);
            let down = (bottom.min(height) - top.max(0.0)) / (bottom - top);
            if across <= 0.0 || down <= 0.0 || c == ' ' && across < 0.5 {
                continue;
            }
            let middle = 0.5 * (top + bottom) / height;
            if across < 0.5 || !MIDDLE.contains(&middle) {
                in_part |= across * down > MOST_OF_A_NEIGHBOUR && c != ' ';
                continue;
            }
            // Letters that the strip cuts off, or that fill too little of it.
            in_part |= down < 0.8 || across < 0.8 && c != ' ' || bottom - top < 0.45 * height;
            if taken == 0 {
                from = i;
            }
            to = i + 1;
            taken += 1;
            all.push(Placed {
                c,
                left: left.max(0.0),
                right: right.min(width),
                line: number,
            });
        }
        if in_part || taken > 0 && to - from != taken {
            return None;
        }
    }
    all.sort_by(|a, b| a.left.total_cmp(&b.left));
    let (mut text, mut spans): (String, Vec<(f32, f32)>) = (String::new(), Vec::new());
    let mut before: Option<&Placed> = None;
    for placed in &all {
        if let Some(last) = before.filter(|last| last.line != placed.line) {
            // Two cells side by side are parted by a space.
            if placed.left < last.right - 2.0 {
                return None;
            }
            if !text.ends_with(' ') && placed.c != ' ' {
                text.push(' ');
                spans.push((last.right, placed.left.max(last.right)));
            }
        }
        if !(placed.c == ' ' && (text.is_empty() || text.ends_with(' '))) {
            text.push(placed.c);
            spans.push((placed.left, placed.right));
        }
        before = Some(placed);
    }
    while text.ends_with(' ') {
        text.pop();
        spans.pop();
    }
    Some((text, spans))
}
