//! A set line: outlines in pixels, the extent of every character, and the heights that a crop is made from.

use crate::fonts::Fonts;
use crate::outline::Outline;
use crate::phrase::GAP;
use crate::shape::shape;
use crate::style::Style;

/// A run's shape and ink.
#[derive(Debug)]
pub(crate) struct Run {
    pub outline: Outline,
    pub ink: f32,
    /// Horizontal rules of the run: (x0, x1, y0, y1) in pixels.
    pub rules: Vec<[f32; 4]>,
}

/// A line on the baseline y = 0, from x = 0 on, in pixels, y downwards.
#[derive(Debug)]
pub(crate) struct Line {
    pub runs: Vec<Run>,
    /// Start and end of every character, gaps as spaces.
    pub spans: Vec<(f32, f32)>,
    /// Height of the tallest ascender and of the deepest descender of the faces in use.
    pub ascent_px: f32,
    pub descent_px: f32,
    /// Smallest and largest x and y of the ink.
    pub ink_low: [f32; 2],
    pub ink_high: [f32; 2],
    pub advance_px: f32,
}

/// Sets `chars` in `style`, whose runs may reach beyond them.
pub(crate) fn set(chars: &[char], style: &Style, fonts: &Fonts) -> Line {
    let mut line = Line {
        runs: Vec::new(),
        spans: Vec::with_capacity(chars.len()),
        ascent_px: 0.0,
        descent_px: 0.0,
        ink_low: [f32::MAX; 2],
        ink_high: [f32::MIN; 2],
        advance_px: 0.0,
    };
    let mut start = 0;
    for run in &style.runs {
        let end = run.end.min(chars.len());
        if start >= end {
            break;
        }
        let face = &fonts.faces()[run.face];
        let part: Vec<char> = chars[start..end]
            .iter()
            .map(|&c| if c == GAP { ' ' } else { c })
            .collect();
        let gaps: Vec<f32> = chars[start..end]
            .iter()
            .map(|&c| if c == GAP { style.gap } else { 0.0 })
            .collect();
        let shaped = shape(face, &part, &gaps, &style.typography);
        let em = style.em_px * run.relative;
        let across = em * style.widen;
        let from = line.advance_px;
        let mut outline = Outline::new();
        let whole = style.whole_px;
        let place = |x: f32, y: f32| {
            let x = from + x * across;
            [if whole { x.round() } else { x }, -y * em]
        };
        outline.add(face, &shaped.glyphs, place, [across, em], style.slant);
        line.spans.extend(
            shaped
                .spans
                .iter()
                .map(|span| (from + span.0 * across, from + span.1 * across)),
        );
        line.advance_px += shaped.advance * across;
        let extent = face.extent(&part);
        line.ascent_px = line.ascent_px.max(extent.ascent * em);
        line.descent_px = line.descent_px.max(extent.descent * em);
        for axis in 0..2 {
            line.ink_low[axis] = line.ink_low[axis].min(outline.low[axis]);
            line.ink_high[axis] = line.ink_high[axis].max(outline.high[axis]);
        }
        let mut rules = Vec::new();
        let thick = (em * 0.06).max(1.0);
        let x1 = if part.last() == Some(&' ') {
            shaped.spans.last().map_or(from, |s| from + s.0 * across)
        } else {
            line.advance_px
        };
        if run.underline {
            rules.push([from, x1, em * 0.12, em * 0.12 + thick]);
        }
        if run.strike {
            let y = -extent.x_height * em * 0.5;
            rules.push([from, x1, y, y + thick]);
        }
        line.runs.push(Run {
            outline,
            ink: run.ink,
            rules,
        });
        start = end;
    }
    line
}
