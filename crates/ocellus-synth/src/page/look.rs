//! How the text of one page looks: its faces, its ink and ground.

use crate::charset;
use crate::corpus::Script;
use crate::fonts::{Fonts, Want};
use crate::phrase::GAP;
use crate::random::Rng;
use crate::shape::Typography;
use crate::style::{RunStyle, Style};

use super::truth::PageKind;

/// Faces and colours of a page.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub latin: usize,
    pub latin_bold: usize,
    pub han: Option<usize>,
    pub han_bold: Option<usize>,
    pub ground: f32,
    pub ink: f32,
    pub typography: Typography,
    pub whole_px: bool,
    pub gamma: f32,
    /// Height of the letters over their width: receipts print some lines at twice the height.
    pub tall: f32,
}

impl Look {
    pub(super) fn choose(rng: &mut Rng, fonts: &Fonts, script: Script, kind: PageKind) -> Self {
        let mono =
            kind == PageKind::Receipt && rng.chance(0.75) || kind == PageKind::Screen && rng.chance(0.15);
        let want = if mono { Want::Mono } else { Want::Any };
        let ascii = "AaGg09.-";
        // Every face that is chosen for Latin text has all of ASCII.
        let latin = fonts
            .choose(ascii, want, rng)
            .or_else(|| fonts.choose(ascii, Want::Any, rng))
            .unwrap_or(0);
        let bold = fonts.bolder(latin);
        let han = if script == Script::Han || rng.chance(0.5) {
            fonts.choose("的一国", Want::Han, rng)
        } else {
            None
        };
        let dark = kind == PageKind::Screen && rng.chance(0.3) || kind == PageKind::Slide && rng.chance(0.3);
        let (ground, ink) = if dark {
            (rng.between(0.02, 0.25), rng.between(0.75, 1.0))
        } else if rng.chance(0.75) {
            (1.0, rng.between(0.0, 0.12))
        } else {
            (rng.between(0.82, 1.0), rng.between(0.0, 0.35))
        };
        Self {
            latin,
            latin_bold: bold,
            han,
            han_bold: han.map(|face| fonts.bolder(face)),
            ground,
            ink,
            typography: Typography {
                kerning: true,
                ligatures: rng.chance(0.7),
                letter_space: if rng.chance(0.12) {
                    rng.between(0.0, 0.06)
                } else {
                    0.0
                },
                word_space: 0.0,
            },
            whole_px: kind == PageKind::Screen && rng.chance(0.7) || rng.chance(0.1),
            gamma: rng.between(0.75, 1.3),
            tall: 1.0,
        }
    }

    /// `chars` without what no face of the page draws, and the style that they are set in, `em_px` high.
    pub(super) fn style(
        &self,
        fonts: &Fonts,
        chars: &[char],
        em_px: f32,
        bold: bool,
        ink: f32,
    ) -> (Vec<char>, Style) {
        let latin = if bold { self.latin_bold } else { self.latin };
        let han = if bold { self.han_bold } else { self.han };
        let (mut kept, mut runs): (Vec<char>, Vec<RunStyle>) = (Vec::new(), Vec::new());
        let mut before = han
            .filter(|_| chars.iter().any(|c| charset::is_wide(*c)))
            .unwrap_or(latin);
        for &c in chars {
            let covers = |face: usize| c == GAP || fonts.faces()[face].covers(c);
            let neutral = c == GAP || c == ' ' || !c.is_ascii() && !c.is_alphabetic() && !charset::is_wide(c);
            let order = match (charset::is_wide(c), neutral) {
                (true, _) => [han, None, None],
                (false, true) => [Some(before), Some(latin), han],
                (false, false) => [Some(latin), han, None],
            };
            let Some(face) = order.into_iter().flatten().find(|face| covers(*face)) else {
                continue;
            };
            let doubled = c == ' ' && kept.last().is_none_or(|k: &char| *k == ' ' || *k == GAP);
            if doubled {
                continue;
            }
            kept.push(c);
            match runs.last_mut() {
                Some(run) if run.face == face => run.end = kept.len(),
                _ => runs.push(RunStyle {
                    end: kept.len(),
                    face,
                    relative: 1.0,
                    ink,
                    underline: false,
                    strike: false,
                }),
            }
            before = face;
        }
        while kept.last().is_some_and(|c| *c == ' ' || *c == GAP) {
            kept.pop();
        }
        let style = Style {
            runs,
            em_px,
            widen: 1.0 / self.tall,
            slant: 0.0,
            turn: 0.0,
            typography: self.typography,
            gap: 1.5,
            whole_px: self.whole_px,
            ground: self.ground,
            gamma: self.gamma,
            clean: true,
        };
        (kept, style)
    }
}
