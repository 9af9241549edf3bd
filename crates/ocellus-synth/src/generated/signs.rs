//! Signs where running text has none: alone in a cell, in patterns, beside spaces, in rows.

use crate::random::Rng;

use super::draw::{any, digits, letters, word};
use super::vocabulary::ENDINGS;

/// Signs that a table or a margin sets by themselves.
const SIGNS: &[&str] = &[
    ".", ",", ":", ";", "^", "*", "+", "-", "–", "—", "…", "?", "!", "'", "\"", "“", "”", "‘", "’", "`", "~",
    "|", "/", "\\", "_", "#", "$", "%", "&", "@", "=", "<", ">", "(", ")", "[", "]", "{", "}", "•", "·", "→",
    "°", "§", "×", "±", "I", "l", "1", "i", "O", "0", "o", "x", "a", "A", "S", "5", "[]", "()", "{}", "**",
    "++", "--", "<=", ">=", "\\b", "\\w", "\\n", "\\(", "\\)", "\\.", "\\|", "^$", ".*", "...",
];

/// One sign, or a few in cells of a row.
pub(super) fn alone(rng: &mut Rng) -> String {
    let gap = any(rng, &["\t", " ", ", ", " or ", "\t"]);
    let count = [1, 1, 1, 2, 3, 5][rng.below(6)];
    (0..count).map(|_| any(rng, SIGNS)).collect::<Vec<_>>().join(gap)
}

/// Regular expressions, globs, rows of one sign.
pub(super) fn pattern(rng: &mut Rng) -> String {
    let (a, b) = (letters(rng, 1, 4), letters(rng, 1, 4));
    let n = rng.int(1, 9);
    match rng.below(14) {
        0 => format!("^{a}.*{b}$"),
        1 => format!("[{a}-z]\\{{{n}\\}}"),
        2 => format!("\\({a}\\|{b}\\)"),
        3 => format!("({a}|{b})*"),
        4 => format!("[^{a}]+{b}?"),
        5 => format!("{a}{{{n},{}}}", n + 3),
        6 => format!("*.{}", any(rng, ENDINGS)),
        7 => format!("\\b{a}\\b"),
        8 => format!("s/^{a}/{b}/g"),
        9 => any(rng, &["*", "-", "=", ".", "_", "#", "~", "+", "/"]).repeat(rng.int(2, 14)),
        10 => format!("{a}[{}]", digits(rng, 1, 3)),
        11 => format!("\\{n}{}", any(rng, SIGNS)),
        12 => format!("^{}", any(rng, SIGNS)),
        _ => format!("\"{a}.{b}\""),
    }
}

/// Words in quotation marks of one kind, with or without the spaces that some print.
pub(super) fn quoted(rng: &mut Rng) -> String {
    let (open, close) = [
        ("“", "”"),
        ("“", "”"),
        ("\"", "\""),
        ("\"", "\""),
        ("“ ", " ”"),
        ("\" ", " \""),
        ("‘", "’"),
        ("'", "'"),
        ("” ", "”"),
        ("« ", " »"),
    ][rng.below(10)];
    let mut inside = match rng.below(4) {
        0 => any(rng, SIGNS).to_owned(),
        1 => pattern(rng),
        _ => word(rng).to_owned(),
    };
    if rng.chance(0.3) {
        inside += any(rng, &["…", "...", ".", ",", "!", "?"]);
    }
    match rng.below(4) {
        0 => format!("{} {open}{inside}{close}", word(rng)),
        1 => format!("({open}{inside}{close})"),
        2 => format!("{open}{inside}{close}, {open}{}{close}", word(rng)),
        _ => format!("{} {open}{inside}{close} {}", word(rng), word(rng)),
    }
}
