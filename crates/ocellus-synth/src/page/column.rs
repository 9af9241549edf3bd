//! A column of a page while it is filled with paragraphs.

use crate::charset;
use crate::fonts::Fonts;
use crate::random::Rng;

use super::canvas::{Canvas, Put};
use super::look::Look;

/// Where text may stand, and how: a column while it is filled.
pub(super) struct Column {
    pub left: f32,
    pub right: f32,
    pub y: f32,
    pub bottom: f32,
}

impl Column {
    /// Sets a paragraph with line breaks; justified where asked for. What does not fit below is left out.
    pub(super) fn paragraph(
        &mut self,
        rng: &mut Rng,
        canvas: &mut Canvas,
        fonts: &Fonts,
        look: &Look,
        chars: &[char],
        text: Text,
    ) {
        let Text {
            em,
            pitch,
            indent,
            justified,
            bold,
            ink,
        } = text;
        canvas.block += 1;
        let (mut rest, mut first) = (chars, true);
        while !rest.is_empty() && self.y + pitch * em < self.bottom {
            let left = self.left + if first { indent } else { 0.0 };
            let end = fitting(fonts, look, rest, em, bold, self.right - left);
            let line = &rest[..end];
            let mut look = look.clone();
            if justified && end < rest.len() {
                // Latin lines stretch their spaces, Chinese ones their characters.
                let width = Canvas::width(fonts, &look, line, em, bold);
                let spaces = line.iter().filter(|c| **c == ' ').count();
                let slack = (self.right - left - width).max(0.0) / em;
                if spaces > 2 {
                    look.typography.word_space += (slack / spaces as f32).min(0.8);
                } else {
                    look.typography.letter_space += (slack / end.max(1) as f32).min(0.06);
                }
            }
            self.y += pitch * em;
            let put = Put {
                x: left,
                baseline: self.y,
                em_px: em,
                bold,
                ink,
            };
            canvas.text(fonts, &look, line, put, self.right + 0.5 * em);
            rest = &rest[end..];
            while rest.first() == Some(&' ') {
                rest = &rest[1..];
            }
            first = false;
        }
        self.y += em * rng.between(0.0, 0.8);
    }
}

/// How a paragraph is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub em: f32,
    /// Distance of baselines in em.
    pub pitch: f32,
    pub indent: f32,
    pub justified: bool,
    pub bold: bool,
    pub ink: f32,
}

/// How many of `chars` stand in `width`: up to a space, or a Chinese character that punctuation does not follow.
fn fitting(fonts: &Fonts, look: &Look, chars: &[char], em: f32, bold: bool, width: f32) -> usize {
    let total = Canvas::width(fonts, look, chars, em, bold).max(1.0);
    if total <= width {
        return chars.len();
    }
    let mut end = ((chars.len() as f32 * width / total) as usize).clamp(1, chars.len());
    // Widths differ: look around the guess.
    while end < chars.len() && Canvas::width(fonts, look, &chars[..end], em, bold) < width {
        end += 1;
    }
    while end > 1 && Canvas::width(fonts, look, &chars[..end], em, bold) > width {
        end -= 1;
    }
    let forbidden = |c: char| "，。、；：？！）》」』”’％,.;:?!)]".contains(c);
    let may_end = |i: usize| {
        chars[i] == ' '
            || chars[i - 1] == ' '
            || (charset::is_wide(chars[i - 1]) || charset::is_wide(chars[i])) && !forbidden(chars[i])
    };
    (1..=end).rev().find(|&i| may_end(i)).unwrap_or(end)
}
