//! How a line looks: faces, size, spacing, colours. Drawn before anything is set, so that a shortened line keeps it.

use crate::charset;
use crate::curriculum::Curriculum;
use crate::fonts::{Fonts, Want};
use crate::phrase::{GAP, Phrase};
use crate::random::Rng;
use crate::shape::Typography;

/// Part of a line in one face and colour.
#[derive(Debug, Clone)]
pub(crate) struct RunStyle {
    /// Index of the first character after the run.
    pub end: usize,
    pub face: usize,
    /// Size relative to the line's.
    pub relative: f32,
    /// Level of the ink.
    pub ink: f32,
    pub underline: bool,
    pub strike: bool,
}

/// The look of a line.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    pub runs: Vec<RunStyle>,
    /// Nominal size in pixels.
    pub em_px: f32,
    /// Horizontal stretch of the letters themselves.
    pub widen: f32,
    /// Lean of an upright face made oblique.
    pub slant: f32,
    /// Drift of the baseline, in y per x; positive falls.
    pub turn: f32,
    pub typography: Typography,
    /// Width of a wide gap, in em.
    pub gap: f32,
    /// Glyph origins and the baseline on whole pixels, as on screens.
    pub whole_px: bool,
    /// Level of the ground.
    pub ground: f32,
    /// Exponent on the coverage: thinner above 1, bolder below.
    pub gamma: f32,
    /// Black on white and no disturbance: a page as it comes from a file.
    pub clean: bool,
}

impl Style {
    pub(crate) fn choose(
        rng: &mut Rng,
        curriculum: &Curriculum,
        phrase: &Phrase,
        fonts: &Fonts,
    ) -> Option<Self> {
        let difficulty = curriculum.difficulty.clamp(0.0, 1.0);
        let clean = !rng.chance(0.6 * difficulty);
        let (ground, ink) = if clean {
            (
                1.0,
                if rng.chance(0.8) {
                    0.0
                } else {
                    rng.between(0.0, 0.25)
                },
            )
        } else {
            colours(rng)
        };
        // The smallest letters come later in the curriculum.
        let smallest = 9.0 + 11.0 * (1.0 - difficulty);
        let em_px = if rng.chance(0.6) {
            rng.log_between(smallest.max(11.0), 30.0)
        } else {
            rng.log_between(smallest, 44.0)
        };
        let typography = Typography {
            kerning: rng.chance(0.85),
            ligatures: rng.chance(0.7),
            letter_space: if rng.chance(0.1) {
                rng.between(-0.02, 0.12)
            } else {
                0.0
            },
            word_space: if rng.chance(0.45) {
                rng.between(-0.06, 0.22)
            } else {
                0.0
            },
        };
        Some(Self {
            runs: runs(rng, phrase, fonts, ink, ground, difficulty)?,
            em_px,
            widen: if rng.chance(0.15) {
                rng.between(0.9, 1.12)
            } else {
                1.0
            },
            slant: if rng.chance(0.03) {
                rng.between(0.05, 0.25)
            } else {
                0.0
            },
            turn: if !clean && rng.chance(0.2) {
                rng.normal().clamp(-2.0, 2.0) * 0.008
            } else {
                0.0
            },
            typography,
            gap: rng.between(0.6, 3.0),
            whole_px: rng.chance(0.25),
            ground,
            gamma: if clean && rng.chance(0.5) {
                1.0
            } else {
                rng.between(0.75, 1.35)
            },
            clean,
        })
    }
}

/// Levels of ground and ink, well apart.
fn colours(rng: &mut Rng) -> (f32, f32) {
    match rng.weighted(&[0.45, 0.35, 0.2]) {
        0 => (rng.between(0.93, 1.0), rng.between(0.0, 0.3)),
        1 => {
            let ground = rng.between(0.6, 1.0);
            (ground, rng.between(0.0, (ground - 0.4).max(0.1)))
        }
        _ => {
            let ground = rng.between(0.0, 0.4);
            (ground, rng.between((ground + 0.4).min(0.9), 1.0))
        }
    }
}

/// One to four runs that together cover the phrase.
fn runs(
    rng: &mut Rng,
    phrase: &Phrase,
    fonts: &Fonts,
    ink: f32,
    ground: f32,
    difficulty: f32,
) -> Option<Vec<RunStyle>> {
    let chars = &phrase.chars;
    if chars.iter().any(|c| charset::is_wide(*c)) {
        return mixed(rng, chars, fonts, ink, ground);
    }
    let text: String = chars.iter().filter(|c| **c != GAP).collect();
    let want = if phrase.mono && rng.chance(0.7) || rng.chance(0.06) {
        Want::Mono
    } else {
        Want::Any
    };
    let main = fonts
        .choose(&text, want, rng)
        .or_else(|| fonts.choose(&text, Want::Any, rng))?;
    let count = if rng.chance(0.3 + 0.1 * difficulty) {
        rng.int(2, 4)
    } else {
        1
    };
    let mut ends: Vec<usize> = (1..count)
        .filter_map(|_| {
            let at = rng.below(chars.len().max(1));
            (at..chars.len()).find(|&i| chars[i] == ' ').map(|i| i + 1)
        })
        .collect();
    ends.push(chars.len());
    ends.sort_unstable();
    ends.dedup();
    let underlined = rng.chance(0.04);
    let struck = rng.chance(0.006);
    let (mut start, mut out) = (0, Vec::new());
    for (i, &end) in ends.iter().enumerate() {
        let part: String = chars[start..end].iter().filter(|c| **c != GAP).collect();
        let other = i % 2 == 1;
        let want = match rng.weighted(&[0.4, 0.48, 0.12]) {
            0 => Want::Sibling(main),
            1 => Want::Mono,
            _ => Want::Any,
        };
        let face = if other {
            fonts.choose(&part, want, rng).unwrap_or(main)
        } else {
            main
        };
        let coloured = other && rng.chance(0.3) || rng.chance(0.03);
        // Coloured ink keeps the side of the ground that the line's ink is on.
        let ink = if coloured {
            ink + (ground - ink) * rng.between(0.0, 0.45)
        } else {
            ink
        };
        let relative = if other && rng.chance(0.5) {
            rng.between(0.86, 1.04)
        } else {
            1.0
        };
        let linked = other && coloured && rng.chance(0.4);
        let strike = struck && other;
        out.push(RunStyle {
            end,
            face,
            relative,
            ink,
            underline: underlined || linked,
            strike,
        });
        start = end;
    }
    Some(out)
}

/// Runs of a line with Chinese in it: a Chinese face, and for the Latin parts the same or another one.
fn mixed(rng: &mut Rng, chars: &[char], fonts: &Fonts, ink: f32, ground: f32) -> Option<Vec<RunStyle>> {
    // What is neither ASCII nor wide, such as quotation marks, belongs to what stands before it.
    let mut wide = Vec::with_capacity(chars.len());
    for &c in chars {
        let before = wide.last().copied().unwrap_or(true);
        wide.push(
            if c == GAP || c == ' ' || !c.is_ascii() && !charset::is_wide(c) && !c.is_alphabetic() {
                before
            } else {
                charset::is_wide(c)
            },
        );
    }
    let drawn =
        |from: usize, to: usize| -> String { chars[from..to].iter().filter(|c| **c != GAP).collect() };
    let of = |wanted: bool| -> String {
        let part = chars
            .iter()
            .zip(&wide)
            .filter(|(c, w)| **w == wanted && **c != GAP);
        part.map(|(c, _)| *c).collect()
    };
    let latin = of(false);
    let main = fonts.choose(&of(true), Want::Han, rng)?;
    let own = latin.is_empty() || rng.chance(0.5) && latin.chars().all(|c| fonts.faces()[main].covers(c));
    let other = if own {
        main
    } else {
        fonts.choose(&latin, Want::Any, rng)?
    };
    let marked = rng.chance(0.12);
    let underlined = rng.chance(0.03);
    let (mut start, mut out) = (0, Vec::new());
    while start < chars.len() {
        let end = (start..chars.len())
            .find(|&i| wide[i] != wide[start])
            .unwrap_or(chars.len());
        // A phrase inside the line in bold or in colour.
        let end = if marked && rng.chance(0.5) {
            rng.int(start + 1, end)
        } else {
            end
        };
        let coloured = marked && rng.chance(0.4);
        let face = if !wide[start] {
            other
        } else if marked && rng.chance(0.3) {
            let sibling = fonts.choose(&drawn(start, end), Want::Sibling(main), rng);
            sibling.unwrap_or(main)
        } else {
            main
        };
        out.push(RunStyle {
            end,
            face,
            relative: 1.0,
            ink: if coloured {
                ink + (ground - ink) * rng.between(0.0, 0.45)
            } else {
                ink
            },
            underline: underlined || coloured && rng.chance(0.3),
            strike: false,
        });
        start = end;
    }
    Some(out)
}
