//! Text that no book has enough of: numbers, dates, paths, options, code, addresses, random characters.

mod chinese;
mod document;
mod draw;
mod figures;
mod machine;
mod signs;
mod vocabulary;

use crate::random::Rng;

type Maker = fn(&mut Rng) -> String;

/// Every kind, with how often it is drawn, and whether it is usually set in a fixed pitch.
const KINDS: &[(f32, bool, Maker)] = &[
    (3.0, false, figures::numbers),
    (2.0, false, figures::date),
    (1.0, false, figures::time),
    (1.5, false, figures::price),
    (1.5, false, figures::version),
    (0.7, false, figures::phone),
    (1.2, false, machine::email),
    (1.5, false, machine::url),
    (2.0, true, machine::path),
    (3.0, true, machine::command),
    (3.0, true, machine::code),
    (1.0, true, machine::hex),
    (0.6, true, machine::uuid),
    (1.5, false, document::cells),
    (1.5, false, document::section),
    (1.0, false, document::page),
    (1.2, false, document::person),
    (1.2, false, document::manual),
    (1.0, true, machine::package),
    (1.0, false, document::formula),
    (1.0, true, machine::listing),
    (0.8, true, machine::assignment),
    (0.7, false, document::contents),
    (0.6, false, document::reference),
    (1.6, false, signs::alone),
    (1.4, true, signs::pattern),
    (1.0, false, signs::quoted),
];

/// A piece of generated text, and whether a fixed pitch suits it. A tab stands for a wide gap.
pub(crate) fn piece(rng: &mut Rng) -> (String, bool) {
    let weights: Vec<f32> = KINDS.iter().map(|kind| kind.0).collect();
    let (_, mono, make) = KINDS[rng.weighted(&weights)];
    (make(rng), mono)
}

/// A number, a price or a date, as columns of a table hold them.
pub(crate) fn number(rng: &mut Rng) -> String {
    match rng.below(6) {
        0 => figures::date(rng),
        1 => figures::price(rng),
        2 => format!("{}.{} %", rng.int(0, 99), rng.int(0, 9)),
        3 => rng.int(0, 9999).to_string(),
        4 => figures::decimal(rng),
        _ => figures::grouped(rng),
    }
}

/// A piece of generated text in Chinese.
pub(crate) fn chinese(rng: &mut Rng) -> String {
    chinese::piece(rng)
}

/// Characters of `charset` in any order, so that rare ones are seen; with a few spaces.
pub(crate) fn scramble(rng: &mut Rng, charset: &[char], chars: usize) -> String {
    let ascii = charset.partition_point(char::is_ascii);
    let range = if ascii > 0 && rng.chance(0.4) {
        ascii
    } else {
        charset.len()
    };
    let mut out = String::new();
    for i in 0..chars {
        let c = charset[rng.below(range)];
        out.push(if i > 0 && rng.chance(0.12) { ' ' } else { c });
    }
    out
}
