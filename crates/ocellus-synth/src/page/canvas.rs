//! A flat page while it is laid out: paint, and the truth of what was set.

use crate::fonts::Fonts;
use crate::line::{self, Line};
use crate::phrase::GAP;
use crate::plane::Plane;

use super::look::Look;
use super::truth::{Cell, PageLine};

pub(super) struct Canvas {
    pub plane: Plane,
    pub lines: Vec<PageLine>,
    pub block: usize,
    pub cell: Option<Cell>,
}

/// How a piece of text stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Put {
    pub x: f32,
    pub baseline: f32,
    pub em_px: f32,
    pub bold: bool,
    pub ink: f32,
}

impl Put {
    /// Type that is not bold.
    pub fn plain((x, baseline): (f32, f32), em_px: f32, ink: f32) -> Self {
        Self {
            x,
            baseline,
            em_px,
            bold: false,
            ink,
        }
    }
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize, ground: f32) -> Self {
        Self {
            plane: Plane::filled(width, height, ground),
            lines: Vec::new(),
            block: 0,
            cell: None,
        }
    }

    /// Sets `chars` and takes note of them, at most up to `right`: what does not fit is left out at a character. Returns where the text
    /// ends.
    pub(super) fn text(&mut self, fonts: &Fonts, look: &Look, chars: &[char], put: Put, right: f32) -> f32 {
        let (mut chars, style) = look.style(fonts, chars, put.em_px, put.bold, put.ink);
        if chars.is_empty() {
            return put.x;
        }
        let mut set = line::set(&chars, &style, fonts);
        while put.x + set.advance_px > right && chars.len() > 1 {
            let fits = (chars.len() as f32 * (right - put.x) / set.advance_px) as usize;
            chars.truncate(fits.clamp(1, chars.len() - 1));
            while chars.len() > 1 && chars.last().is_some_and(|c| *c == ' ' || *c == GAP) {
                chars.pop();
            }
            set = line::set(&chars, &style, fonts);
        }
        let bottom = self.plane.height as f32 - 2.0;
        if set.spans.len() != chars.len()
            || put.x + set.advance_px > right
            || put.baseline + set.descent_px > bottom
        {
            return put.x;
        }
        let y = if look.whole_px {
            put.baseline.round()
        } else {
            put.baseline
        };
        let x = if look.whole_px { put.x.round() } else { put.x };
        self.paint(&set, x, y, put.ink, look.gamma);
        self.note(&chars, &set, x, y);
        x + set.advance_px
    }

    fn paint(&mut self, set: &Line, x: f32, y: f32, ink: f32, gamma: f32) {
        for run in set.runs.iter().filter(|run| !run.outline.is_empty()) {
            let (left, top) = (
                (x + run.outline.low[0]).floor() - 1.0,
                (y + run.outline.low[1]).floor() - 1.0,
            );
            let width = (run.outline.high[0] - run.outline.low[0]).ceil() as usize + 3;
            let height = (run.outline.high[1] - run.outline.low[1]).ceil() as usize + 3;
            let coverage = run.outline.fill(width, height, [x - left, y - top], 0.0);
            self.plane
                .paint_at(&coverage, (left as isize, top as isize), ink, gamma);
        }
    }

    /// Notes the truth, a line of it for each part between wide gaps.
    fn note(&mut self, chars: &[char], set: &Line, x: f32, y: f32) {
        let (top, bottom) = (y - set.ascent_px, y + set.descent_px);
        let mut start = 0;
        for part in chars.split(|c| *c == GAP) {
            let spans = &set.spans[start..start + part.len()];
            start += part.len() + 1;
            let blank = |c: &char| *c == ' ';
            let Some(from) = part.iter().position(|c| !blank(c)) else {
                continue;
            };
            let to = part.iter().rposition(|c| !blank(c)).map_or(part.len(), |i| i + 1);
            let chars: Vec<_> = spans[from..to]
                .iter()
                .map(|(a, b)| [[x + a, top], [x + b, top], [x + b, bottom], [x + a, bottom]])
                .collect();
            self.lines.push(PageLine {
                text: part[from..to].iter().collect(),
                baseline: [[x + spans[from].0, y], [x + spans[to - 1].1, y]],
                chars,
                block: self.block,
                cell: self.cell,
            });
        }
    }

    /// How wide `chars` would be.
    pub(super) fn width(fonts: &Fonts, look: &Look, chars: &[char], em_px: f32, bold: bool) -> f32 {
        let (chars, style) = look.style(fonts, chars, em_px, bold, 0.0);
        if chars.is_empty() {
            0.0
        } else {
            line::set(&chars, &style, fonts).advance_px
        }
    }

    pub(super) fn rule(&mut self, x0: f32, y0: f32, x1: f32, y1: f32, level: f32) {
        self.plane.rectangle(x0, y0, x1, y1, level);
    }

    /// A frame `thick` pixels strong, inside the rectangle.
    pub(super) fn frame(&mut self, [x0, y0, x1, y1]: [f32; 4], thick: f32, level: f32) {
        for [a, b, c, d] in [
            [x0, y0, x1, y0 + thick],
            [x0, y1 - thick, x1, y1],
            [x0, y0, x0 + thick, y1],
            [x1 - thick, y0, x1, y1],
        ] {
            self.rule(a, b, c, d, level);
        }
    }

    /// A row of dots or dashes.
    pub(super) fn dashes(&mut self, x0: f32, x1: f32, y: f32, dash: f32, thick: f32, level: f32) {
        let mut x = x0;
        while x + dash <= x1 {
            self.rule(x, y, x + dash, y + thick, level);
            x += 2.0 * dash;
        }
    }

    /// Levels within black and white.
    pub(super) fn finish(&mut self) {
        self.plane
            .data
            .iter_mut()
            .for_each(|level| *level = level.clamp(0.0, 1.0));
    }
}
