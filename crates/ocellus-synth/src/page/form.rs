//! Forms: labels with their values on rules, in boxes, in a grid; boxes to tick.

use crate::corpus::Script;
use crate::fonts::Fonts;
use crate::random::Rng;

use super::canvas::{Canvas, Put};
use super::column::{Column, Text};
use super::content::Content;
use super::look::Look;
use super::truth::PageKind;

/// Labels with their values: on rules, in boxes, in a grid; boxes to tick.
pub(super) fn form(rng: &mut Rng, fonts: &Fonts, content: &mut Content, look: &mut Look) -> Canvas {
    let em = rng.log_between(14.0, 28.0);
    let width = (em * rng.between(36.0, 54.0)).clamp(560.0, 1500.0);
    let height = (width * rng.between(0.6, 1.2)).min(1400.0);
    let mut canvas = Canvas::new(width as usize, height as usize, look.ground);
    let margin = width * rng.between(0.05, 0.09);
    let ink = look.ink;
    let mut column = Column {
        left: margin,
        right: width - margin,
        y: margin * 0.5,
        bottom: height - margin * 0.6,
    };
    let heading = content.heading(rng);
    let text = Text {
        em: em * 1.5,
        pitch: 1.4,
        indent: em * rng.between(0.0, 12.0),
        justified: false,
        bold: true,
        ink,
    };
    column.paragraph(rng, &mut canvas, fonts, look, &heading, text);
    column.y += em;
    let columns = rng.int(1, 3);
    let room = (column.right - column.left) / columns as f32;
    let pitch = em * rng.between(1.9, 3.0);
    let boxed = rng.below(3);
    // The values may be in another face, as filled in later.
    let mut filled = look.clone();
    if rng.chance(0.4) {
        filled = Look {
            ground: look.ground,
            ink: look.ink,
            ..Look::choose(rng, fonts, content.script, PageKind::Receipt)
        };
    }
    let level = ink + (look.ground - ink) * rng.between(0.0, 0.5);
    while column.y + pitch < column.bottom {
        for i in 0..columns {
            let left = column.left + i as f32 * room;
            let right = left + room - 0.4 * em;
            let baseline = column.y + pitch * 0.6;
            canvas.block += 1;
            let tick = rng.chance(0.12);
            let mut label = content.short(rng);
            label.truncate(12);
            label.push(if content.script == Script::Han { '：' } else { ':' });
            if tick {
                let side = em * 0.8;
                canvas.frame([left, baseline - side, left + side, baseline], 1.5, ink);
                label.pop();
            }
            let start = left + if tick { 1.2 * em } else { 0.2 * em };
            let end = canvas.text(
                fonts,
                look,
                &label,
                Put {
                    x: start,
                    baseline,
                    em_px: em,
                    bold: false,
                    ink,
                },
                right - 3.0 * em,
            );
            if tick {
                continue;
            }
            canvas.block += 1;
            let from = end + 0.6 * em;
            match boxed {
                0 => canvas.rule(
                    from,
                    baseline + 0.25 * em,
                    right,
                    baseline + 0.25 * em + 1.2,
                    level,
                ),
                1 => canvas.frame(
                    [
                        from - 0.3 * em,
                        column.y + 0.1 * pitch,
                        right,
                        column.y + 0.95 * pitch,
                    ],
                    1.3,
                    level,
                ),
                _ => canvas.frame([left, column.y, left + room, column.y + pitch], 1.3, level),
            }
            if rng.chance(0.8) {
                let value = content.short(rng);
                canvas.text(
                    fonts,
                    &filled,
                    &value,
                    Put {
                        x: from,
                        baseline,
                        em_px: em * 0.95,
                        bold: false,
                        ink: filled.ink,
                    },
                    right - 0.2 * em,
                );
            }
        }
        column.y += pitch;
    }
    canvas
}
