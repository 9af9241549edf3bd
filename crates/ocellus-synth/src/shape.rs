//! From the characters of a run to placed glyphs, in em, with the extent of every character.

use harfrust::{Buffer, Direction, Feature, Script, ShapeOptions, ShaperFont, Tag};

use crate::face::Face;

/// What may vary in setting the same characters in the same face.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Typography {
    pub kerning: bool,
    pub ligatures: bool,
    /// Added after every character, in em.
    pub letter_space: f32,
    /// Added to every space, in em.
    pub word_space: f32,
}

/// A glyph and the place of its origin, in em, y upwards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub glyph: u32,
    pub x: f32,
    pub y: f32,
}

/// A run set from x = 0 on.
#[derive(Debug, Default)]
pub(crate) struct Shaped {
    pub glyphs: Vec<Placed>,
    /// Start and end of every character; the letters of a ligature share its width evenly.
    pub spans: Vec<(f32, f32)>,
    pub advance: f32,
}

/// Sets `chars` in `face`. `gaps[i]` is extra space after character i, in em.
pub(crate) fn shape(face: &Face, chars: &[char], gaps: &[f32], typography: &Typography) -> Shaped {
    let mut buffer = Buffer::new();
    for (i, &c) in chars.iter().enumerate() {
        buffer.push(c as u32, i as u32);
    }
    buffer.set_direction(Direction::LeftToRight);
    buffer.set_script(Some(Script::LATIN));
    let joined = typography.ligatures && !face.odd_ligatures && typography.letter_space == 0.0;
    let off = |tag: &[u8; 4], on: bool| Feature::new(Tag::new(tag), u32::from(on), ..);
    // Contextual alternates draw arrows for "->" and the like: what is drawn must be what the text says.
    let features = [
        off(b"calt", false),
        off(b"liga", joined),
        off(b"clig", joined),
        off(b"kern", typography.kerning),
    ];
    let shaper = ShaperFont::new(&face.font);
    let mut out = Shaped::default();
    if harfrust::shape(&shaper, &mut buffer, ShapeOptions::new().features(&features)).is_err() {
        return out;
    }
    let em = f32::from(face.font.units_per_em().max(1));
    let infos = buffer.glyph_infos();
    let positions = buffer.glyph_positions();
    let mut pen = 0.0;
    let mut at = 0;
    while at < infos.len() {
        let first = infos[at].cluster as usize;
        let mut end = at;
        let start = pen;
        while end < infos.len() && infos[end].cluster as usize == first {
            let position = &positions[end];
            let (x, y) = (position.x_offset as f32 / em, position.y_offset as f32 / em);
            out.glyphs.push(Placed {
                glyph: infos[end].glyph_id,
                x: pen + x,
                y,
            });
            pen += position.x_advance as f32 / em;
            end += 1;
        }
        let next = infos.get(end).map_or(chars.len(), |info| info.cluster as usize);
        let share = (pen - start) / (next - first).max(1) as f32;
        for i in 0..next.saturating_sub(first) {
            out.spans
                .push((start + share * i as f32, start + share * (i + 1) as f32));
        }
        // Extra space belongs to the last character of the cluster only where that is a space.
        for i in first..next {
            let extra = typography.letter_space
                + gaps[i]
                + if chars[i] == ' ' {
                    typography.word_space
                } else {
                    0.0
                };
            pen += extra;
            if chars[i] == ' '
                && let Some(span) = out.spans.last_mut()
            {
                span.1 = pen;
            }
        }
        at = end;
    }
    out.advance = pen;
    out
}
