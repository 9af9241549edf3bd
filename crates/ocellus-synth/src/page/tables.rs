//! Tables, ruled and borderless.

use crate::fonts::Fonts;
use crate::random::Rng;

use super::canvas::{Canvas, Put};
use super::column::{Column, Text};
use super::content::Content;
use super::look::Look;
use super::truth::Cell;

/// Which rules a table has.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ruled {
    Not,
    All,
    /// Above and below, and under the head.
    Book,
    /// Between rows.
    Rows,
    /// Every other row on a grey ground.
    Striped,
}

/// Text, a table or two, text.
pub(super) fn report(rng: &mut Rng, fonts: &Fonts, content: &mut Content, look: &mut Look) -> Canvas {
    let em = rng.log_between(13.0, 28.0);
    let width = (em * rng.between(34.0, 60.0)).clamp(520.0, 1600.0);
    let height = (width * rng.between(0.5, 1.1)).min(1400.0);
    let mut canvas = Canvas::new(width as usize, height as usize, look.ground);
    let margin = width * rng.between(0.04, 0.09);
    let mut column = Column {
        left: margin,
        right: width - margin,
        y: margin * 0.6,
        bottom: height - margin * 0.5,
    };
    let ink = look.ink;
    let mut number = 0;
    while column.y + 4.0 * em < column.bottom {
        if rng.chance(0.4) {
            let length = rng.int(20, 200);
            let chars = content.paragraph(rng, length);
            let text = Text {
                em,
                pitch: 1.4,
                indent: 0.0,
                justified: false,
                bold: false,
                ink,
            };
            column.paragraph(rng, &mut canvas, fonts, look, &chars, text);
        }
        if rng.chance(0.5) {
            let heading = content.heading(rng);
            let text = Text {
                em,
                pitch: 1.5,
                indent: 0.0,
                justified: false,
                bold: true,
                ink,
            };
            column.paragraph(rng, &mut canvas, fonts, look, &heading, text);
        }
        column.y += 0.5 * em;
        table(rng, &mut canvas, fonts, content, look, &mut column, em, number);
        number += 1;
    }
    canvas
}

/// A table that fills the width of a column.
#[allow(clippy::too_many_arguments)]
fn table(
    rng: &mut Rng,
    canvas: &mut Canvas,
    fonts: &Fonts,
    content: &Content,
    look: &Look,
    column: &mut Column,
    em: f32,
    number: usize,
) {
    let columns = rng.int(2, 7);
    let rows = rng.int(3, 14);
    let numbers: Vec<bool> = (0..columns).map(|i| i > 0 && rng.chance(0.65)).collect();
    let cells: Vec<Vec<Vec<char>>> = (0..rows)
        .map(|row| {
            let cell = |i: usize, rng: &mut Rng| match () {
                () if rng.chance(0.05) => Vec::new(),
                () => content.cell(rng, numbers[i] && row > 0),
            };
            (0..columns).map(|i| cell(i, rng)).collect()
        })
        .collect();
    // Columns share the width by their widest cells.
    let widest: Vec<f32> = (0..columns)
        .map(|i| {
            cells
                .iter()
                .map(|row| Canvas::width(fonts, look, &row[i], em, false))
                .fold(2.0 * em, f32::max)
                .min(16.0 * em)
        })
        .collect();
    let pad = em * rng.between(0.25, 0.9);
    let full = column.right - column.left;
    let total: f32 = widest.iter().map(|w| w + 2.0 * pad).sum();
    let stretch = if total > full {
        full / total
    } else {
        rng.between(1.0, (full / total).min(1.8))
    };
    let ruled = [
        Ruled::Not,
        Ruled::All,
        Ruled::All,
        Ruled::Book,
        Ruled::Rows,
        Ruled::Striped,
    ][rng.below(6)];
    let pitch = em * rng.between(1.3, 2.2);
    let thick = rng.between(0.8, 2.2);
    let level = look.ink + (look.ground - look.ink) * rng.between(0.0, 0.5);
    let middle = rng.chance(0.3);
    let (left, top) = (column.left, column.y);
    let edges: Vec<f32> = std::iter::once(0.0)
        .chain(widest.iter().scan(0.0, |x, w| {
            *x += (w + 2.0 * pad) * stretch;
            Some(*x)
        }))
        .collect();
    let right = left + edges[columns];
    let rows = rows.min(((column.bottom - top) / pitch) as usize);
    let dark_head = rng.chance(0.2);
    for (row, cells) in cells.iter().take(rows).enumerate() {
        let y = top + row as f32 * pitch;
        let mut ink = look.ink;
        if ruled == Ruled::Striped && row % 2 == 1 {
            canvas.rule(
                left,
                y,
                right,
                y + pitch,
                look.ground + (look.ink - look.ground) * 0.12,
            );
        }
        if row == 0 && dark_head {
            canvas.rule(
                left,
                y,
                right,
                y + pitch,
                look.ink + (look.ground - look.ink) * 0.15,
            );
            ink = look.ground;
        }
        for (i, chars) in cells.iter().enumerate() {
            canvas.block += 1;
            canvas.cell = Some(Cell {
                table: number,
                row,
                column: i,
            });
            let (from, to) = (
                left + edges[i] + pad * stretch.min(1.0),
                left + edges[i + 1] - 0.3 * pad,
            );
            let wide = Canvas::width(fonts, look, chars, em, row == 0);
            let room = (to - from - wide).max(0.0);
            let x = match () {
                () if middle => from + room / 2.0,
                () if numbers[i] => from + room,
                () => from,
            };
            let put = Put {
                x,
                baseline: y + pitch * 0.5 + em * 0.36,
                em_px: em,
                bold: row == 0,
                ink,
            };
            canvas.text(fonts, look, chars, put, to);
        }
    }
    canvas.cell = None;
    canvas.block += 1;
    let bottom = top + rows as f32 * pitch;
    for row in 0..=rows {
        let y = top + row as f32 * pitch;
        let drawn = match ruled {
            Ruled::All | Ruled::Rows => true,
            Ruled::Book => row <= 1 || row == rows,
            Ruled::Not | Ruled::Striped => false,
        };
        if drawn && rows > 0 {
            canvas.rule(left, y - thick / 2.0, right, y + thick / 2.0, level);
        }
    }
    if ruled == Ruled::All {
        for x in &edges {
            canvas.rule(left + x - thick / 2.0, top, left + x + thick / 2.0, bottom, level);
        }
    }
    column.y = bottom + 1.2 * em;
}
