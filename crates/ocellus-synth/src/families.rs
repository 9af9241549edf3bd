//! Which families are common, which are refused, and how often a family and a face of it are chosen.

use crate::face::Face;

/// Families that documents are mostly set in, by the beginning of their names; they get [`COMMON_SHARE`] of the samples.
#[rustfmt::skip]
const COMMON: &[&str] = &[
    "Arimo", "Bitstream Vera", "C059", "CMU Sans", "CMU Serif", "CMU Typewriter", "Caladea", "Carlito",
    "Cousine", "DejaVu Sans", "DejaVu Serif", "FreeMono", "FreeSans", "FreeSerif", "Hack", "Inconsolata",
    "Inter", "Lato", "Latin Modern Mono", "Latin Modern Roman", "Latin Modern Sans", "Liberation",
    "Nimbus Mono", "Nimbus Roman", "Nimbus Sans", "Noto Mono", "Noto Sans", "Noto Serif", "Open Sans",
    "P052", "Roboto", "STIX", "TeX Gyre Cursor", "TeX Gyre Heros", "TeX Gyre Pagella", "TeX Gyre Termes",
    "Tinos",
];
const COMMON_SHARE: f32 = 0.65;
/// Faces in the manner of Times, Helvetica and Courier, and the usual ones of screens: each counts for
/// [`CORE_WEIGHT`] common families.
#[rustfmt::skip]
const CORE: &[&str] = &[
    "Arimo", "Cousine", "DejaVu Sans", "DejaVu Serif", "FreeMono", "FreeSans", "FreeSerif",
    "Latin Modern Roman", "Liberation", "Nimbus Mono", "Nimbus Roman", "Nimbus Sans", "STIXGeneral",
    "TeX Gyre Cursor", "TeX Gyre Heros", "TeX Gyre Termes", "Tinos",
];
const CORE_WEIGHT: f32 = 2.5;
/// Families that draw Chinese, by the beginning of their names, with how often each is chosen; the first that fits counts. Regional
/// forms of one design share what it gets.
#[rustfmt::skip]
const HAN: &[(&str, f32)] = &[
    ("Noto Sans CJK SC", 3.0), ("Noto Serif CJK SC", 3.0), ("Noto Sans CJK TC", 0.8), ("Noto Serif CJK TC", 0.8),
    ("Noto Sans Mono CJK", 0.15), ("Noto Sans CJK", 0.2), ("Noto Serif CJK", 0.2), ("AR PL SungtiL GB", 2.5),
    ("AR PL UMing", 0.8), ("AR PL UKai", 0.35), ("WenQuanYi", 1.5), ("LXGW", 0.5), ("BabelStone", 0.5),
];
/// Words in a family's or style's name that stand for drawings, small capitals or formulas.
#[rustfmt::skip]
const REFUSED: &[&str] = &[
    "Initials", "Outline", "Dingbat", "Symbol", "Math", "Icons", "Emoji", "Caps", "Ornament", "Swash",
    "Chancery", "Script", "Keyboard", "Braille", "Sizing", "Shadow", "Upright Italic", "Dunhi", "Chorus",
    "Z003", "Essays", "Quattrocento", "Unslanted",
];

/// How often each of `families`, given by name, is chosen: common ones share [`COMMON_SHARE`], the others the rest.
pub(crate) fn weights(families: &[&str]) -> Vec<f32> {
    let raw = |name: &str| if begins(name, CORE) { CORE_WEIGHT } else { 1.0 };
    let sum = |common: bool| {
        families
            .iter()
            .filter(|f| is_common(f) == common)
            .map(|f| raw(f))
            .sum::<f32>()
    };
    let (common, other) = (sum(true), sum(false));
    let share = |name: &str| {
        if is_common(name) {
            COMMON_SHARE / common
        } else {
            (1.0 - COMMON_SHARE) / other
        }
    };
    families.iter().map(|name| raw(name) * share(name)).collect()
}

/// How often each face of a family is chosen: upright text weights share 0.62, bold ones 0.2, italics 0.14 and light ones 0.04, whatever their numbers.
pub(crate) fn face_weights(faces: &[Face]) -> Vec<f32> {
    let groups: Vec<usize> = faces.iter().map(Face::group).collect();
    groups
        .iter()
        .zip(faces)
        .map(|(&group, face)| {
            let others: f32 = groups
                .iter()
                .zip(faces)
                .filter(|(g, _)| **g == group)
                .map(|(_, f)| f.narrowness())
                .sum();
            [0.62, 0.2, 0.14, 0.04][group] * face.narrowness() / others
        })
        .collect()
}

/// Whether a face of this family and style is no text face.
pub(crate) fn is_refused(family: &str, style: &str) -> bool {
    REFUSED
        .iter()
        .any(|word| family.contains(word) || style.contains(word))
}

pub(crate) fn is_common(family: &str) -> bool {
    begins(family, COMMON) && !family.contains("CJK")
}

/// How often a family is chosen for Chinese: as documents and screens have them.
pub(crate) fn han_weight(family: &str) -> f32 {
    let known = HAN.iter().find(|(name, _)| family.starts_with(name));
    known.map_or(1.0, |(_, weight)| *weight)
}

fn begins(family: &str, names: &[&str]) -> bool {
    names.iter().any(|name| family.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_families_share_most_of_the_samples() {
        let weights = weights(&["Tinos", "Lato", "Dosis", "Play", "Cabin"]);
        assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{weights:?}");
        assert!(
            (weights[..2].iter().sum::<f32>() - COMMON_SHARE).abs() < 1e-5,
            "{weights:?}"
        );
        assert!(
            (weights[0] / weights[1] - CORE_WEIGHT).abs() < 1e-5,
            "{weights:?}"
        );
        assert_eq!(weights[2], weights[4]);
    }

    #[test]
    fn small_capitals_and_drawings_are_refused() {
        for (family, style, refused) in [
            ("Latin Modern Roman Caps", "10 Regular", true),
            ("D050000L", "Dingbats", true),
            ("DejaVu Sans", "Book", false),
            ("Noto Sans", "Condensed SemiBold Italic", false),
        ] {
            assert_eq!(is_refused(family, style), refused, "{family} {style}");
        }
    }
}
