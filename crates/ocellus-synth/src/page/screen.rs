//! Screens: small antialiased letters on whole pixels, bars, lists, buttons, fields; light or dark.

use crate::corpus::Script;
use crate::fonts::Fonts;
use crate::random::Rng;

use super::canvas::{Canvas, Put};
use super::column::{Column, Text};
use super::content::Content;
use super::look::Look;

pub(super) fn screen(rng: &mut Rng, fonts: &Fonts, content: &mut Content, look: &mut Look) -> Canvas {
    let smallest = if content.script == Script::Han { 11.5 } else { 10.0 };
    let em = rng.log_between(smallest, 22.0).round();
    let (width, height) = (rng.between(480.0, 1280.0), rng.between(360.0, 900.0));
    let mut canvas = Canvas::new(width as usize, height as usize, look.ground);
    let step = |part: f32, look: &Look| look.ground + (look.ink - look.ground) * part;
    let bar = em * rng.between(1.8, 2.8);
    let middle = |top: f32, high: f32| top + high * 0.5 + em * 0.36;
    // The bar with its menu.
    let inverse = rng.chance(0.35);
    let (bar_ground, bar_ink) = if inverse {
        (step(0.8, look), look.ground)
    } else {
        (step(0.08, look), look.ink)
    };
    canvas.rule(0.0, 0.0, width, bar, bar_ground);
    let mut x = em;
    for _ in 0..rng.int(2, 8) {
        let mut chars = content.short(rng);
        chars.truncate(if content.script == Script::Han { 6 } else { 12 });
        canvas.block += 1;
        x = canvas.text(
            fonts,
            look,
            &chars,
            Put::plain((x, middle(0.0, bar)), em, bar_ink),
            width - em,
        );
        x += em * rng.between(1.0, 2.2);
        if x > width - 4.0 * em {
            break;
        }
    }
    // A list at the side, one row of it chosen.
    let mut left = 0.0;
    if rng.chance(0.6) {
        left = (em * rng.between(8.0, 14.0)).min(width * 0.4);
        canvas.rule(0.0, bar, left, height, step(0.05, look));
        let pitch = em * rng.between(1.6, 2.5);
        let mut y = bar + 0.4 * em;
        let chosen = rng.below(10);
        let mut row = 0;
        while y + pitch < height {
            let mut ink = look.ink;
            if row == chosen {
                canvas.rule(0.0, y, left, y + pitch, step(0.75, look));
                ink = look.ground;
            }
            let mut chars = content.short(rng);
            chars.truncate(18);
            canvas.block += 1;
            canvas.text(
                fonts,
                look,
                &chars,
                Put::plain((em, middle(y, pitch)), em, ink),
                left - 0.4 * em,
            );
            y += pitch;
            row += 1;
        }
    }
    let mut column = Column {
        left: left + em,
        right: width - em,
        y: bar + 0.5 * em,
        bottom: height - 3.5 * em,
    };
    while column.y + 2.5 * em < column.bottom {
        match rng.weighted(&[0.35, 0.2, 0.2, 0.25]) {
            0 => {
                let length = rng.int(20, 200);
                let chars = content.paragraph(rng, length);
                let text = Text {
                    em,
                    pitch: rng.between(1.3, 1.7),
                    indent: 0.0,
                    justified: false,
                    bold: false,
                    ink: look.ink,
                };
                column.paragraph(rng, &mut canvas, fonts, look, &chars, text);
            }
            1 => {
                let text = Text {
                    em: em * rng.between(1.0, 1.6),
                    pitch: 1.5,
                    indent: 0.0,
                    justified: false,
                    bold: true,
                    ink: look.ink,
                };
                let heading = content.heading(rng);
                column.paragraph(rng, &mut canvas, fonts, look, &heading, text);
            }
            2 => {
                // A label and a field.
                let high = em * 1.9;
                let mut label = content.short(rng);
                label.truncate(10);
                let y = column.y + 0.3 * em;
                canvas.block += 1;
                let put = Put::plain((column.left, middle(y, high)), em, step(0.75, look));
                let end = canvas.text(fonts, look, &label, put, column.right - 6.0 * em) + em;
                canvas.frame(
                    [end, y, (end + 14.0 * em).min(column.right), y + high],
                    1.0,
                    step(0.35, look),
                );
                let value = content.short(rng);
                canvas.block += 1;
                let put = Put::plain((end + 0.5 * em, middle(y, high)), em, look.ink);
                canvas.text(
                    fonts,
                    look,
                    &value,
                    put,
                    (end + 13.5 * em).min(column.right - 4.0),
                );
                column.y = y + high + 0.4 * em;
            }
            _ => {
                // Rows with columns, as of files.
                let columns = rng.int(2, 4);
                let room = (column.right - column.left) / columns as f32;
                for row in 0..rng.int(2, 8) {
                    if column.y + 1.8 * em > column.bottom {
                        break;
                    }
                    for i in 0..columns {
                        let chars = if i == 0 {
                            content.short(rng)
                        } else {
                            content.cell(rng, true)
                        };
                        canvas.block += 1;
                        let x = column.left + i as f32 * room;
                        let ink = if row == 0 { step(0.6, look) } else { look.ink };
                        let put = Put::plain((x, middle(column.y, 1.7 * em)), em, ink);
                        canvas.text(fonts, look, &chars, put, x + room - 0.8 * em);
                    }
                    column.y += 1.7 * em;
                }
            }
        }
    }
    // Buttons at the lower right.
    let high = em * 2.0;
    let mut right = width - em;
    for i in 0..rng.int(1, 3) {
        let mut chars = content.short(rng);
        chars.truncate(if content.script == Script::Han { 4 } else { 9 });
        let wide = Canvas::width(fonts, look, &chars, em, false) + 2.0 * em;
        if right - wide < left + em {
            break;
        }
        let top = height - high - 0.8 * em;
        let filled = i == 0 && rng.chance(0.7);
        if filled {
            canvas.rule(right - wide, top, right, top + high, step(0.7, look));
        } else {
            canvas.frame([right - wide, top, right, top + high], 1.0, step(0.4, look));
        }
        canvas.block += 1;
        let ink = if filled { look.ground } else { look.ink };
        canvas.text(
            fonts,
            look,
            &chars,
            Put::plain((right - wide + em, middle(top, high)), em, ink),
            right,
        );
        right -= wide + 0.7 * em;
    }
    canvas
}
