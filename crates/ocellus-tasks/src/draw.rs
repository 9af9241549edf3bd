//! Boxes on a copy of the page.

use embedded_graphics::Drawable;
use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyleBuilder, ascii};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::primitives::{Line, Primitive, PrimitiveStyle};
use embedded_graphics::text::{Baseline, Text};
use ocellus_media::Rgb;

/// Something on a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Corners `[x, y]` in pixels of the page, one after the other around it; the label stands at the first.
    pub corners: [[f32; 2]; 4],
    /// ASCII; other characters are drawn as a question mark.
    pub label: String,
    pub colour: [u8; 3],
}

impl Mark {
    /// Of a box `[x1, y1, x2, y2]`.
    pub fn of_box([x1, y1, x2, y2]: [f32; 4], label: String, colour: [u8; 3]) -> Self {
        Self {
            corners: [[x1, y1], [x2, y1], [x2, y2], [x1, y2]],
            label,
            colour,
        }
    }
}

/// Green for what is sure, over yellow to red for what is a guess.
pub fn confidence_colour(confidence: f32) -> [u8; 3] {
    match confidence {
        sure if sure >= 0.9 => [20, 140, 60],
        fair if fair >= 0.75 => [200, 130, 0],
        _ => [210, 40, 40],
    }
}

/// Draws the outlines of `marks` with their labels; what lies outside the page is left out.
pub fn marks(page: &Rgb, marks: &[Mark]) -> Rgb {
    let mut drawn = page.clone();
    // As thick on a large scan as on a small one once both are shown on a screen.
    let longest = page.width.max(page.height);
    let thick = (longest / 1000).max(1);
    let font = match longest {
        0..900 => &ascii::FONT_6X10,
        900..1800 => &ascii::FONT_8X13_BOLD,
        _ => &ascii::FONT_10X20,
    };
    for mark in marks {
        outline(&mut drawn, mark, thick);
    }
    // Labels stand above all outlines, or crossing boxes would strike them out.
    for mark in marks {
        label(&mut drawn, mark, font);
    }
    drawn
}

/// A corner, at most a page away from the page: no line is longer than what can be drawn soon.
fn point(page: &Rgb, [x, y]: [f32; 2]) -> Point {
    let near = |at: f32, side: u32| at.round().clamp(-(side as f32), 2.0 * side as f32) as i32;
    Point::new(near(x, page.width), near(y, page.height))
}

fn outline(page: &mut Rgb, mark: &Mark, thick: u32) {
    let style = PrimitiveStyle::with_stroke(colour(mark.colour), thick);
    for (index, corner) in mark.corners.iter().enumerate() {
        let next = mark.corners[(index + 1) % 4];
        // Drawing on memory cannot fail.
        let line = Line::new(point(page, *corner), point(page, next));
        let Ok(()) = line.into_styled(style).draw(page);
    }
}

/// Left of the first corner, so that it hides no text; inside where there is no room.
fn label(page: &mut Rgb, mark: &Mark, font: &MonoFont<'_>) {
    let style = MonoTextStyleBuilder::new()
        .font(font)
        .text_color(colour(mark.colour))
        .background_color(Rgb888::WHITE)
        .build();
    let Size { width, height } = font.character_size;
    let corner = point(page, mark.corners[0]);
    let left = corner
        .x
        .saturating_sub_unsigned(width * mark.label.len() as u32 + 3);
    let lowest = i32::try_from(page.height.saturating_sub(height)).unwrap_or(i32::MAX);
    let at = Point::new(
        if left >= 0 { left } else { corner.x.max(0) },
        corner.y.clamp(0, lowest),
    );
    let Ok(_) = Text::with_baseline(&mark.label, at, style, Baseline::Top).draw(page);
}

fn colour([r, g, b]: [u8; 3]) -> Rgb888 {
    Rgb888::new(r, g, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: [u8; 3] = [255, 0, 0];

    #[test]
    fn outlines_are_drawn_and_the_inside_is_not() {
        let page = Rgb::filled(20, 10, [255, 255, 255]);
        let boxes = [[2.0, 2.0, 12.0, 8.0], [-5.0, 5.0, 90.0, 50.0]];
        let drawn = marks(&page, &boxes.map(|bbox| Mark::of_box(bbox, String::new(), RED)));
        for (x, y, expected) in [
            (2, 2, true),
            (12, 8, true),
            (13, 8, false),
            (5, 4, false),
            (19, 5, true),
        ] {
            assert_eq!(drawn.pixel(x, y) == RED, expected, "{x} {y}");
        }
    }

    #[test]
    fn a_slanted_line_has_a_slanted_outline() {
        let page = Rgb::filled(40, 40, [255, 255, 255]);
        let slanted = Mark {
            corners: [[5.0, 5.0], [35.0, 15.0], [32.0, 24.0], [2.0, 14.0]],
            label: String::new(),
            colour: RED,
        };
        let drawn = marks(&page, &[slanted]);
        for ([x, y], expected) in [
            ([5, 5], true),
            ([20, 10], true),
            ([35, 15], true),
            ([20, 5], false),
        ] {
            assert_eq!(drawn.pixel(x, y) == RED, expected, "{x} {y}");
        }
    }

    #[test]
    fn a_label_stands_left_of_its_box_or_inside() {
        let page = Rgb::filled(100, 40, [0, 0, 0]);
        for (left, inked) in [(50.0, 35..47), (4.0, 4..16)] {
            let mark = Mark::of_box([left, 10.0, 90.0, 30.0], "12".to_owned(), RED);
            let without = Mark {
                label: String::new(),
                ..mark.clone()
            };
            let (drawn, without) = (marks(&page, &[mark]), marks(&page, &[without]));
            let changed = |x: u32| (0..40).any(|y| drawn.pixel(x, y) != without.pixel(x, y));
            let columns: Vec<u32> = (0..100).filter(|&x| changed(x)).collect();
            assert!(!columns.is_empty(), "{left}");
            assert!(columns.iter().all(|x| inked.contains(x)), "{left}: {columns:?}");
        }
    }

    #[test]
    fn marks_far_outside_cost_nothing() {
        let page = Rgb::filled(10, 10, [255, 255, 255]);
        let far = [1e9, f32::MAX, f32::MAX, f32::MAX];
        let drawn = marks(&page, &[Mark::of_box(far, "1".to_owned(), RED)]);
        assert!(drawn.data.len() == 300);
    }
}
