//! What stands around running text: table cells, headings, page numbers, names, references, formulas.

use crate::random::Rng;

use super::draw::{any, digits, word};
use super::figures::{decimal, grouped};
use super::vocabulary::{NAMES, TOOLS};

pub(super) fn cells(rng: &mut Rng) -> String {
    let cell = |rng: &mut Rng| match rng.below(6) {
        0 => decimal(rng),
        1 => grouped(rng),
        2 => word(rng).to_owned(),
        3 => (any(rng, &["–", "—", "n/a", "yes", "no", "✓", "∞", "*", "-", "†"])).to_owned(),
        4 => format!("{} {}", word(rng), word(rng)),
        _ => digits(rng, 1, 5),
    };
    (0..rng.int(1, 5))
        .map(|_| cell(rng))
        .collect::<Vec<_>>()
        .join(any(rng, &["\t", "\t", " | ", " & ", "; "]))
}

pub(super) fn title(rng: &mut Rng) -> String {
    let words: Vec<String> = (0..rng.int(1, 4)).map(|_| word(rng).to_owned()).collect();
    let mut out = words.join(" ");
    if let Some(first) = out.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    out
}

pub(super) fn section(rng: &mut Rng) -> String {
    let number = (0..rng.int(1, 4))
        .map(|_| rng.int(1, 15).to_string())
        .collect::<Vec<_>>()
        .join(".");
    match rng.below(6) {
        0 => number,
        1 => format!("{number}.\t{}", title(rng)),
        2 => format!("§ {number} {}", title(rng)),
        3 => format!("Chapter {} {}", rng.int(1, 30), title(rng)),
        4 => format!("Figure {number}: {}", title(rng)),
        _ => format!("{number}\t{}", title(rng)),
    }
}

pub(super) fn page(rng: &mut Rng) -> String {
    let (n, of) = (rng.int(1, 400), rng.int(100, 999));
    match rng.below(6) {
        0 => n.to_string(),
        1 => format!("{n} / {of}"),
        2 => format!("Page {n} of {of}"),
        3 => format!("– {n} –"),
        4 => format!("p. {n}"),
        _ => (any(
            rng,
            &[
                "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiv", "XVI",
            ],
        ))
        .to_owned(),
    }
}

pub(super) fn person(rng: &mut Rng) -> String {
    let (first, last) = (any(rng, NAMES), any(rng, NAMES));
    match rng.below(5) {
        0 => format!(
            "{}. {last}",
            &first[..first.chars().next().map_or(0, char::len_utf8)]
        ),
        1 => format!("{last}, {first}"),
        2 => format!(
            "{} {first} {last}",
            any(rng, &["Dr.", "Mr.", "Ms.", "Prof.", "Mme", "Herr", "Sr."])
        ),
        3 => format!("© {} {first} {last}", rng.int(1990, 2030)),
        _ => format!("{first} {last}"),
    }
}

pub(super) fn manual(rng: &mut Rng) -> String {
    let page = |rng: &mut Rng| format!("{}({})", any(rng, TOOLS), rng.int(1, 8));
    match rng.below(4) {
        0 => page(rng),
        1 => format!("See {} and {}.", page(rng), page(rng)),
        2 => format!("{}, {}, {}", page(rng), page(rng), page(rng)),
        _ => format!("• The {} manual page", page(rng)),
    }
}

pub(super) fn formula(rng: &mut Rng) -> String {
    let v = |rng: &mut Rng| char::from(b"abcdefhkmnpqrstuvwxyz"[rng.below(21)]);
    let operator = any(
        rng,
        &[
            "+", "−", "×", "÷", "=", "<", ">", "≤", "≥", "≠", "≈", "·", "/", "±", "→",
        ],
    );
    match rng.below(4) {
        0 => format!("{} {operator} {} = {}", v(rng), rng.int(0, 99), v(rng)),
        1 => format!("{}² + {}² = {}²", v(rng), v(rng), v(rng)),
        2 => format!("{}({}, {}) {operator} {}", v(rng), v(rng), v(rng), decimal(rng)),
        _ => format!(
            "√{} {operator} {}{}",
            rng.int(2, 99),
            any(rng, &["½", "¼", "¾", "∞", "2³"]),
            v(rng)
        ),
    }
}

pub(super) fn contents(rng: &mut Rng) -> String {
    let dots = any(rng, &[" . ", "."]).repeat(rng.int(3, 14));
    format!(
        "{}.{} {} {} {}",
        rng.int(1, 12),
        rng.int(1, 20),
        title(rng),
        dots.trim(),
        rng.int(1, 400)
    )
}

pub(super) fn reference(rng: &mut Rng) -> String {
    match rng.below(4) {
        0 => format!(
            "[{}] {} et al., {}",
            rng.int(1, 99),
            any(rng, NAMES),
            rng.int(1960, 2030)
        ),
        1 => format!(
            "({}, {}; {}, {})",
            any(rng, NAMES),
            rng.int(1960, 2030),
            any(rng, NAMES),
            rng.int(1960, 2030)
        ),
        2 => format!(
            "ISBN {}-{}-{}-{}",
            digits(rng, 3, 3),
            digits(rng, 1, 1),
            digits(rng, 5, 5),
            digits(rng, 3, 3)
        ),
        _ => format!(
            "vol. {}, no. {}, pp. {}–{}",
            rng.int(1, 90),
            rng.int(1, 12),
            rng.int(1, 500),
            rng.int(501, 999)
        ),
    }
}
