//! One face: what it covers, how tall its letters are, and its outlines.

use std::sync::Arc;

use harfrust::{Direction, Font, ShapeOptions, ShaperFont};
use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use skrifa::{FontRef, GlyphId, MetadataProvider};

use crate::charset;
use crate::corpus::Script;

/// Heights above (positive) and below the baseline, in em.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    /// Top of the letters with ascenders.
    pub ascent: f32,
    /// How far letters with descenders hang below the baseline; positive.
    pub descent: f32,
    /// Top of x.
    pub x_height: f32,
}

/// A face of a font file that passed the checks of [`crate::Fonts::load`].
pub struct Face {
    /// Typographic family, such as "DejaVu Sans".
    pub family: String,
    /// Style within the family, such as "Bold Oblique".
    pub style: String,
    pub(crate) hash: u64,
    pub(crate) index: u32,
    pub(crate) mono: bool,
    /// Of the letters; of the ideographs where the face draws them.
    latin: Option<Extent>,
    han: Option<Extent>,
    /// Ligatures that join other letters than f's, such as "--" to a dash: then ligatures stay off.
    pub(crate) odd_ligatures: bool,
    pub(crate) font: Font,
    bytes: Arc<Vec<u8>>,
    covered: Vec<char>,
    weight: f32,
    italic: bool,
}

/// Pairs that some faces join into one sign, which would no longer be what the text says.
const TRAPS: &str =
    "-- --- -> => <- <= >= != == :: `` '' !` ?` << >> ,, (c) (r) 1/2 3x4 www No ... || && ## ** ++ // /*";

/// Ideographs that fill their square.
const TALL: &str = "国國口田中高书書門门";

impl Face {
    /// `None` unless the face draws all of printable ASCII, each character differently from the others, with
    /// ascenders and descenders (small capitals have none), or draws Chinese.
    pub(crate) fn new(
        bytes: Arc<Vec<u8>>,
        index: u32,
        family: String,
        style: String,
        hash: u64,
        charset: &[char],
    ) -> Option<Self> {
        let font = Font::new(bytes.clone() as Arc<dyn AsRef<[u8]> + Send + Sync>, index)?;
        let skrifa = FontRef::from_index(&bytes, index).ok()?;
        let attributes = skrifa.attributes();
        let charmap = skrifa.charmap();
        let em = skrifa.metrics(Size::new(1.0), LocationRef::default());
        let outlines = skrifa.outline_glyphs();
        let bounds = |glyph: GlyphId| {
            let mut pen = Bounds::default();
            outlines
                .get(glyph)?
                .draw(
                    DrawSettings::unhinted(Size::new(1.0), LocationRef::default()),
                    &mut pen,
                )
                .ok()?;
            (pen.high[0] > pen.low[0]).then_some(pen)
        };
        let missing = bounds(GlyphId::NOTDEF);
        let advances = skrifa.glyph_metrics(Size::new(1.0), LocationRef::default());
        let (mut covered, mut used) = (Vec::new(), std::collections::BTreeSet::new());
        for &c in charset {
            let Some(glyph) = charmap.map(c) else { continue };
            let drawn = c == ' '
                || bounds(glyph)
                    .is_some_and(|b| b.plausible(c) && !missing.as_ref().is_some_and(|m| b.same(m)));
            if glyph != GlyphId::NOTDEF && drawn && advances.advance_width(glyph)? > 0.0 && used.insert(glyph)
            {
                covered.push(c);
            }
        }
        let ascii = (' '..='~').all(|c| covered.binary_search(&c).is_ok());
        let ideographs = covered
            .iter()
            .filter(|c| ('\u{4e00}'..='\u{9fff}').contains(*c))
            .count();
        let of = |c: char| charmap.map(c).and_then(bounds);
        let top = |text: &str| {
            text.chars()
                .filter_map(of)
                .map(|b| b.high[1])
                .fold(0.0f32, f32::max)
        };
        let bottom = |text: &str| {
            text.chars()
                .filter_map(of)
                .map(|b| -b.low[1])
                .fold(0.0f32, f32::max)
        };
        let extent = Extent {
            ascent: top("bdhklHE"),
            descent: bottom("gpqy"),
            x_height: top("xz"),
        };
        // A face of some hundred characters is one of signs.
        let han = (ideographs >= 2000).then(|| Extent {
            ascent: top(TALL),
            descent: bottom(TALL),
            x_height: top("一二"),
        });
        let proper = ascii
            && bottom("p") > 0.08
            && of('d').is_some_and(|d| d.high[1] > 1.15 * extent.x_height)
            && extent.x_height > 0.2;
        let letters = charmap.map('i').and_then(|g| advances.advance_width(g));
        let wide = charmap.map('M').and_then(|g| advances.advance_width(g));
        let mut face = Self {
            family,
            style,
            hash,
            index,
            mono: em.is_monospace || letters == wide,
            latin: proper.then_some(extent),
            han,
            odd_ligatures: false,
            font,
            bytes,
            covered,
            weight: attributes.weight.value(),
            italic: attributes.style != skrifa::attribute::Style::Normal,
        };
        face.odd_ligatures = face.mono || face.joins(TRAPS);
        (proper || face.han.is_some()).then_some(face)
    }

    /// Whether the face draws Latin text, and whether it draws Chinese.
    pub(crate) fn draws(&self, script: Script) -> bool {
        match script {
            Script::Latin => self.latin.is_some(),
            Script::Han => self.han.is_some(),
        }
    }

    /// The height of a line that holds these characters.
    pub(crate) fn extent(&self, chars: &[char]) -> Extent {
        let none = Extent {
            ascent: 0.0,
            descent: 0.0,
            x_height: 0.0,
        };
        let han = self.han.filter(|_| chars.iter().any(|c| charset::is_wide(*c)));
        let latin = self
            .latin
            .filter(|_| han.is_none() || chars.iter().any(char::is_ascii_alphanumeric));
        let (a, b) = (latin.unwrap_or(none), han.unwrap_or(none));
        Extent {
            ascent: a.ascent.max(b.ascent),
            descent: a.descent.max(b.descent),
            x_height: a.x_height.max(b.x_height),
        }
    }

    /// Whether the face has a glyph of its own for `c`.
    pub fn covers(&self, c: char) -> bool {
        self.covered.binary_search(&c).is_ok()
    }

    /// 0 for upright text weights, 1 for bold, 2 for italics, 3 for light ones.
    pub(crate) fn group(&self) -> usize {
        match self.weight as u32 {
            _ if self.italic => 2,
            0..=320 => 3,
            321..=560 => 0,
            _ => 1,
        }
    }

    /// Condensed and hairline faces are chosen less often than their siblings.
    pub(crate) fn narrowness(&self) -> f32 {
        let condensed = if self.style.contains("ondensed") { 0.3 } else { 1.0 };
        condensed * if self.weight < 260.0 { 0.3 } else { 1.0 }
    }

    /// Whether shaping `text` with ligatures changes any glyph.
    fn joins(&self, text: &str) -> bool {
        let mut buffer = harfrust::Buffer::new();
        for (i, c) in text.chars().enumerate() {
            buffer.push(c as u32, i as u32);
        }
        buffer.set_direction(Direction::LeftToRight);
        buffer.set_script(Some(harfrust::Script::LATIN));
        let off = [harfrust::Feature::new(harfrust::Tag::new(b"calt"), 0, ..)];
        let shaper = ShaperFont::new(&self.font);
        if harfrust::shape(&shaper, &mut buffer, ShapeOptions::new().features(&off)).is_err() {
            return true;
        }
        let plain = text
            .chars()
            .filter_map(|c| self.font.charmap().map_unicode(c))
            .map(|g| g.to_u32());
        !plain.eq(buffer.glyph_infos().iter().map(|info| info.glyph_id))
    }

    /// The outlines of this face.
    pub(crate) fn outlines(&self) -> Option<skrifa::outline::OutlineGlyphCollection<'_>> {
        Some(
            FontRef::from_index(&self.bytes, self.index)
                .ok()?
                .outline_glyphs(),
        )
    }
}

impl std::fmt::Debug for Face {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} ({} characters)",
            self.family,
            self.style,
            self.covered.len()
        )
    }
}

/// Extremes of an outline's points, in em.
struct Bounds {
    low: [f32; 2],
    high: [f32; 2],
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            low: [f32::MAX; 2],
            high: [f32::MIN; 2],
        }
    }
}

impl Bounds {
    /// Whether a shape of this size can be `c`: no giant, and nothing short where a wide sign is due.
    fn plausible(&self, c: char) -> bool {
        let (width, height) = (self.high[0] - self.low[0], self.high[1] - self.low[1]);
        let narrowest = match c {
            '→' | '←' | '—' | '…' | '™' | '∞' | '≈' | '‰' => 0.3,
            '↑' | '↓' | '√' | '✓' => 0.15,
            _ => 0.0,
        };
        width >= narrowest && width < 2.5 && height < 2.0
    }

    fn same(&self, other: &Self) -> bool {
        self.low == other.low && self.high == other.high
    }

    fn add(&mut self, x: f32, y: f32) {
        self.low = [self.low[0].min(x), self.low[1].min(y)];
        self.high = [self.high[0].max(x), self.high[1].max(y)];
    }
}

impl OutlinePen for Bounds {
    fn move_to(&mut self, x: f32, y: f32) {
        self.add(x, y);
    }
    fn line_to(&mut self, x: f32, y: f32) {
        self.add(x, y);
    }
    fn quad_to(&mut self, _: f32, _: f32, x: f32, y: f32) {
        self.add(x, y);
    }
    fn curve_to(&mut self, _: f32, _: f32, _: f32, _: f32, x: f32, y: f32) {
        self.add(x, y);
    }
    fn close(&mut self) {}
}
