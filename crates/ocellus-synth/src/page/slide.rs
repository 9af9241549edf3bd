//! Slides: large lines, few of them.

use crate::corpus::Script;
use crate::fonts::Fonts;
use crate::random::Rng;

use super::canvas::Canvas;
use super::column::{Column, Text};
use super::content::Content;
use super::look::Look;

/// Large lines, few of them, on an even or changing ground.
pub(super) fn slide(rng: &mut Rng, fonts: &Fonts, content: &mut Content, look: &mut Look) -> Canvas {
    let (width, height) = (rng.between(900.0, 1400.0), rng.between(560.0, 800.0));
    let mut canvas = Canvas::new(width as usize, height as usize, look.ground);
    let (from, to) = (rng.between(-0.12, 0.05), rng.between(-0.12, 0.05));
    for y in 0..canvas.plane.height {
        let level = look.ground + from + (to - from) * y as f32 / height;
        canvas.plane.row(y).fill(level.clamp(0.0, 1.0));
    }
    let em = rng.between(26.0, 46.0);
    let margin = width * rng.between(0.05, 0.1);
    let mut column = Column {
        left: margin,
        right: width - margin,
        y: margin * 0.4,
        bottom: height - margin * 0.3,
    };
    let (ink, mut title) = (look.ink, look.ink);
    if rng.chance(0.4) {
        let band = em * rng.between(2.2, 3.0);
        let level = if look.ground > 0.5 {
            rng.between(0.0, 0.4)
        } else {
            rng.between(0.6, 0.9)
        };
        canvas.rule(0.0, column.y - 0.2 * em, width, column.y + band, level);
        title = if level < 0.5 { 1.0 } else { 0.0 };
    }
    let heading = content.heading(rng);
    let text = Text {
        em: em * 1.4,
        pitch: 1.2,
        indent: 0.0,
        justified: false,
        bold: true,
        ink: title,
    };
    let one_line = heading
        .len()
        .min(if content.script == Script::Han { 14 } else { 26 });
    column.paragraph(rng, &mut canvas, fonts, look, &heading[..one_line], text);
    column.y += em;
    let mark = *rng.pick(&['•', '–', '▶', '■', '●']);
    for _ in 0..rng.int(2, 7) {
        let deeper = rng.chance(0.3);
        let size = if deeper { em * 0.8 } else { em };
        let mut chars = if rng.chance(0.8) {
            vec![mark, ' ']
        } else {
            Vec::new()
        };
        let length = rng.int(8, 60);
        chars.extend(content.paragraph(rng, length));
        let left = column.left;
        column.left += if deeper { 2.0 * em } else { 0.0 };
        let text = Text {
            em: size,
            pitch: 1.35,
            indent: 0.0,
            justified: false,
            bold: rng.chance(0.1),
            ink,
        };
        column.paragraph(rng, &mut canvas, fonts, look, &chars, text);
        column.left = left;
        if column.y > height * 0.85 {
            break;
        }
    }
    canvas
}
