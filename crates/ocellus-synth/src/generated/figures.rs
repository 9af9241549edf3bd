//! Numbers, dates, times, prices, versions, telephone numbers.

use crate::random::Rng;

use super::draw::{any, digits, word};
use super::vocabulary::{DAYS, MONTHS, TOOLS, UNITS};

pub(super) fn numbers(rng: &mut Rng) -> String {
    let mut out = Vec::new();
    for _ in 0..rng.int(1, 6) {
        out.push(match rng.below(7) {
            0 => grouped(rng),
            1 => decimal(rng),
            2 => format!("{}%", decimal(rng)),
            3 => format!("{} {}", decimal(rng), any(rng, UNITS)),
            4 => format!("{}×{}", digits(rng, 2, 4), digits(rng, 2, 4)),
            5 => format!("{}–{}", digits(rng, 1, 4), digits(rng, 1, 4)),
            _ => digits(rng, 1, 8),
        });
    }
    out.join(any(rng, &[" ", " ", ", ", "\t", " / "]))
}

pub(super) fn date(rng: &mut Rng) -> String {
    let (year, month, day) = (rng.int(1950, 2039), rng.int(1, 12), rng.int(1, 31));
    match rng.below(7) {
        0 => format!("{year}-{month:02}-{day:02}"),
        1 => format!("{day:02}.{month:02}.{year}"),
        2 => format!("{day}/{month}/{}", year % 100),
        3 => format!("{} {day}, {year}", any(rng, MONTHS)),
        4 => format!("{day} {} {year}", any(rng, MONTHS)),
        5 => format!(
            "{}, {day:02} {} {year} {}",
            any(rng, DAYS),
            any(rng, MONTHS),
            time(rng)
        ),
        _ => format!("{year}-{month:02}-{day:02}T{}Z", time(rng)),
    }
}

pub(super) fn time(rng: &mut Rng) -> String {
    let (h, m, s) = (rng.int(0, 23), rng.int(0, 59), rng.int(0, 59));
    match rng.below(4) {
        0 => format!("{h:02}:{m:02}"),
        1 => format!("{h:02}:{m:02}:{s:02}"),
        2 => format!("{}:{m:02} {}", h % 12 + 1, any(rng, &["AM", "PM", "am", "p.m."])),
        _ => format!("{h:02}:{m:02}:{s:02}.{}", digits(rng, 3, 3)),
    }
}

pub(super) fn price(rng: &mut Rng) -> String {
    let amount = format!("{}.{}", grouped(rng), digits(rng, 2, 2));
    match rng.below(6) {
        0 => format!("${amount}"),
        1 => format!("€{amount}"),
        2 => format!("{} €", amount.replace('.', ",")),
        3 => format!("£{amount}"),
        4 => format!(
            "{} {amount}",
            any(rng, &["USD", "EUR", "CHF", "¥", "Total:", "GBP"])
        ),
        _ => format!("{}\t{}\t{amount}", word(rng), rng.int(1, 20)),
    }
}

pub(super) fn version(rng: &mut Rng) -> String {
    let base = format!("{}.{}.{}", rng.int(0, 30), rng.int(0, 20), rng.int(0, 99));
    match rng.below(5) {
        0 => format!("v{base}"),
        1 => format!("{} {base}", word(rng)),
        2 => format!("{base}-{}", rng.int(1, 9)),
        3 => format!("{}_{base}-{}_amd64.deb", any(rng, TOOLS), rng.int(1, 9)),
        _ => format!(
            "{base}+{}",
            any(rng, &["dfsg-1", "deb12u3", "rc2", "beta.1", "git20240102"])
        ),
    }
}

pub(super) fn phone(rng: &mut Rng) -> String {
    match rng.below(3) {
        0 => format!(
            "+{} {} {} {}",
            digits(rng, 1, 2),
            digits(rng, 2, 3),
            digits(rng, 3, 4),
            digits(rng, 2, 4)
        ),
        1 => format!(
            "({}) {}-{}",
            digits(rng, 3, 3),
            digits(rng, 3, 3),
            digits(rng, 4, 4)
        ),
        _ => format!(
            "Tel. {}/{}-{}",
            digits(rng, 4, 5),
            digits(rng, 3, 6),
            digits(rng, 1, 2)
        ),
    }
}

pub(super) fn grouped(rng: &mut Rng) -> String {
    let separator = any(rng, &[",", ".", " ", "’", ""]);
    let mut out = rng.int(1, 999).to_string();
    for _ in 0..rng.int(0, 3) {
        out += separator;
        out += &digits(rng, 3, 3);
    }
    out
}

pub(super) fn decimal(rng: &mut Rng) -> String {
    let sign = any(
        rng,
        &["", "", "", "-", "+", "−", "±", "~", "<", ">", "≤", "≥", "≈"],
    );
    format!(
        "{sign}{}{}{}",
        digits(rng, 1, 3),
        any(rng, &[".", ".", ","]),
        digits(rng, 1, 4)
    )
}
