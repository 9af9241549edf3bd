//! The pictures that the line reader gets.

use ocellus_media::{Gray, Rgb, strip};

use super::chunks::{STRIP_HEIGHT_PX, STRIP_WIDTH_PX};
use super::page::{Chunk, Page};
use super::rect::Rect;
use super::rotate::Turn;

/// Width of a reader's cell: strips are as wide as a whole number of them.
const CELL_PX: u32 = 28;

/// One strip per chunk, in the order of the layout's lines and their chunks.
///
/// A strip is [`STRIP_HEIGHT_PX`] high and a multiple of 28 px up to [`STRIP_WIDTH_PX`] wide: dark ink on white, the
/// line's ascent to descent with 8 % of margin, ink of other lines painted over. `page` must be the picture that
/// `layout` was found on.
pub fn strips(page: &Rgb, layout: &Page) -> Vec<Gray> {
    let mut grey = strip::luma(page);
    if layout.skew_degrees != 0.0 {
        grey = Turn::levelling(layout.skew_degrees, page.width, page.height).apply(&grey);
    }
    let chunks = layout.lines.iter().flat_map(|line| &line.chunks);
    chunks.map(|chunk| strip_of(&grey, chunk)).collect()
}

/// What was cut out for a strip.
#[derive(Debug, Clone, Copy)]
pub struct StripPlace {
    turn: Option<Turn>,
    rect: Rect,
}

impl StripPlace {
    /// Where a point of the page lies in the strip, in its pixels.
    pub fn on_strip(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (x, y) = self.turn.map_or((x, y), |turn| turn.forth(x, y));
        let (width, height) = (self.rect.width() as f32, self.rect.height() as f32);
        let down = STRIP_HEIGHT_PX as f32 / height;
        let across = down.min(STRIP_WIDTH_PX as f32 / width);
        [
            (x - self.rect.x0 as f32) * across,
            (y - self.rect.y0 as f32) * down,
        ]
    }

    /// Width of the strip in pixels, without the white that fills its last cell.
    pub fn width_px(&self) -> f32 {
        let exact = self.rect.width() as f32 * STRIP_HEIGHT_PX as f32 / self.rect.height() as f32;
        exact.min(STRIP_WIDTH_PX as f32)
    }
}

/// Where the strips of [`strips`] come from, in the same order.
pub fn strip_places(layout: &Page) -> Vec<StripPlace> {
    let degrees = layout.skew_degrees;
    let turn = (degrees != 0.0).then(|| Turn::levelling(degrees, layout.width, layout.height));
    let width = turn.map_or(layout.width, |turn| turn.width());
    let chunks = layout.lines.iter().flat_map(|line| &line.chunks);
    chunks
        .map(|chunk| StripPlace {
            turn,
            rect: rect_of(chunk, width),
        })
        .collect()
}

fn rect_of(chunk: &Chunk, page_width: u32) -> Rect {
    let [x0, y0, x1, y1] = chunk.strip.map(|side| side as i32);
    // A letter that the page's side cuts off must not be drawn out into the margin.
    let x0 = x0.clamp(0, page_width as i32 - 1);
    let x1 = x1.clamp(x0 + 1, page_width as i32);
    Rect { x0, y0, x1, y1 }
}

fn strip_of(page: &Gray, chunk: &Chunk) -> Gray {
    let rect = rect_of(chunk, page.width);
    let mut cut = cut(page, &rect);
    paint_over(&mut cut, &rect, &chunk.foreign);
    let small = strip::to_height(&cut, STRIP_HEIGHT_PX, STRIP_WIDTH_PX);
    strip::pad_right(&strip::normalise(&small), CELL_PX)
}

/// The pixels of `rect`; above and below the page its edge goes on.
fn cut(page: &Gray, rect: &Rect) -> Gray {
    let (last_x, last_y) = (page.width as i32 - 1, page.height as i32 - 1);
    let mut data = Vec::with_capacity((rect.width() * rect.height()) as usize);
    for y in rect.y0..rect.y1 {
        let row = y.clamp(0, last_y) as usize * page.width as usize;
        data.extend((rect.x0..rect.x1).map(|x| page.data[row + x.clamp(0, last_x) as usize]));
    }
    Gray {
        width: rect.width() as u32,
        height: rect.height() as u32,
        data,
    }
}

/// Paints boxes, given on the page, with the ground: the median of what they leave.
fn paint_over(cut: &mut Gray, rect: &Rect, boxes: &[[f32; 4]]) {
    if boxes.is_empty() {
        return;
    }
    let width = cut.width as usize;
    let mut foreign = vec![false; cut.data.len()];
    for [x1, y1, x2, y2] in boxes {
        let (x0, x1) = (
            (*x1 as i32).max(rect.x0) - rect.x0,
            (*x2 as i32).min(rect.x1) - rect.x0,
        );
        let (y0, y1) = (
            (*y1 as i32).max(rect.y0) - rect.y0,
            (*y2 as i32).min(rect.y1) - rect.y0,
        );
        if x0 < x1 {
            for y in y0..y1 {
                foreign[y as usize * width + x0 as usize..y as usize * width + x1 as usize].fill(true);
            }
        }
    }
    let mut rest: Vec<u8> = cut
        .data
        .iter()
        .zip(&foreign)
        .filter(|(_, foreign)| !**foreign)
        .map(|(level, _)| *level)
        .collect();
    if rest.is_empty() {
        return;
    }
    let middle = rest.len() / 2;
    let ground = *rest.select_nth_unstable(middle).1;
    for (level, foreign) in cut.data.iter_mut().zip(&foreign) {
        if *foreign {
            *level = ground;
        }
    }
}
