//! Running text in columns, with headings, lists and pictures.

use crate::corpus::Script;
use crate::fonts::Fonts;
use crate::random::Rng;

use super::canvas::{Canvas, Put};
use super::column::{Column, Text};
use super::content::Content;
use super::look::Look;

/// One to three columns of running text.
pub(super) fn article(rng: &mut Rng, fonts: &Fonts, content: &mut Content, look: &mut Look) -> Canvas {
    let em = rng.log_between(13.0, 34.0);
    let columns = if em > 26.0 {
        1
    } else {
        [1, 1, 2, 2, 3][rng.below(5)]
    };
    let width = (em * rng.between(30.0, 46.0) * if columns > 1 { 1.3 } else { 1.0 }).clamp(480.0, 1700.0);
    let height = (width * rng.between(0.6, 1.35)).min(1500.0);
    let mut canvas = Canvas::new(width as usize, height as usize, look.ground);
    let margin = width * rng.between(0.05, 0.11);
    let mut top = margin * rng.between(0.5, 1.0);
    let ink = look.ink;
    if rng.chance(0.5) {
        // A running head with the number of the page.
        let small = em * 0.8;
        let heading = content.heading(rng);
        canvas.text(
            fonts,
            look,
            &heading,
            Put::plain((margin, top + small), small, ink),
            width - margin,
        );
        let page: Vec<char> = rng.int(1, 400).to_string().chars().collect();
        canvas.block += 1;
        canvas.text(
            fonts,
            look,
            &page,
            Put::plain((width - margin - 2.0 * small, top + small), small, ink),
            width,
        );
        if rng.chance(0.5) {
            canvas.rule(
                margin,
                top + small * 1.5,
                width - margin,
                top + small * 1.5 + 1.2,
                ink,
            );
        }
        top += 2.4 * small;
        canvas.block += 1;
    }
    if rng.chance(0.4) {
        let big = em * rng.between(1.5, 2.4);
        let mut head = Column {
            left: margin,
            right: width - margin,
            y: top,
            bottom: height - margin,
        };
        let text = Text {
            em: big,
            pitch: 1.3,
            indent: 0.0,
            justified: false,
            bold: true,
            ink,
        };
        let heading = content.heading(rng);
        head.paragraph(rng, &mut canvas, fonts, look, &heading, text);
        top = head.y + 0.5 * big;
    }
    let gutter = em * rng.between(1.2, 2.6);
    let column_width = (width - 2.0 * margin - gutter * (columns - 1) as f32) / columns as f32;
    let justified = rng.chance(0.55);
    let pitch = if content.script == Script::Han {
        rng.between(1.4, 2.0)
    } else {
        rng.between(1.12, 1.6)
    };
    let indented = rng.chance(0.5);
    for i in 0..columns {
        let left = margin + i as f32 * (column_width + gutter);
        let mut column = Column {
            left,
            right: left + column_width,
            y: top,
            bottom: height - margin * 0.8,
        };
        if i > 0 && rng.chance(0.2) {
            canvas.rule(
                left - gutter / 2.0,
                top,
                left - gutter / 2.0 + 1.0,
                height - margin,
                ink,
            );
        }
        while column.y + pitch * em * 1.2 < column.bottom {
            match rng.weighted(&[0.7, 0.12, 0.12, 0.06]) {
                0 => {
                    let length = rng.int(60, 420);
                    let chars = content.paragraph(rng, length);
                    let indent = if indented { 2.0 * em } else { 0.0 };
                    let text = Text {
                        em,
                        pitch,
                        indent,
                        justified,
                        bold: false,
                        ink,
                    };
                    column.paragraph(rng, &mut canvas, fonts, look, &chars, text);
                }
                1 => {
                    let larger = em * rng.between(1.0, 1.4);
                    column.y += 0.5 * em;
                    let heading = content.heading(rng);
                    let text = Text {
                        em: larger,
                        pitch: 1.4,
                        indent: 0.0,
                        justified: false,
                        bold: true,
                        ink,
                    };
                    column.paragraph(rng, &mut canvas, fonts, look, &heading, text);
                }
                2 => {
                    let mark = *rng.pick(&['•', '–', '·', '■', '●', '○', '※', '*', '-']);
                    for _ in 0..rng.int(2, 5) {
                        let mut chars = vec![mark, ' '];
                        let length = rng.int(10, 90);
                        chars.extend(content.paragraph(rng, length));
                        let text = Text {
                            em,
                            pitch,
                            indent: em,
                            justified: false,
                            bold: false,
                            ink,
                        };
                        column.paragraph(rng, &mut canvas, fonts, look, &chars, text);
                    }
                }
                _ => picture(rng, &mut canvas, &mut column, em),
            }
        }
    }
    canvas
}

/// A grey field with shapes in it, as a picture or a chart stands in a column.
fn picture(rng: &mut Rng, canvas: &mut Canvas, column: &mut Column, em: f32) {
    let height = (em * rng.between(4.0, 9.0)).min(column.bottom - column.y - em);
    if height < 2.0 * em {
        column.y = column.bottom;
        return;
    }
    let (top, bottom) = (column.y + 0.6 * em, column.y + height);
    let level = rng.between(0.3, 0.95);
    canvas.rule(column.left, top, column.right, bottom, level);
    for _ in 0..rng.int(2, 9) {
        let x = rng.between(column.left, column.right);
        let y = rng.between(top, bottom);
        let (w, h) = (rng.between(0.3, 6.0) * em, rng.between(0.2, 4.0) * em);
        canvas.rule(x, y, (x + w).min(column.right), (y + h).min(bottom), rng.unit());
    }
    column.y = bottom + 0.8 * em;
}
