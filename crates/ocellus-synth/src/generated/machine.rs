//! What people type to machines and machines print: addresses, paths, commands, code, listings.

use crate::random::Rng;

use super::draw::{any, digits, letters, word};
use super::figures::decimal;
use super::vocabulary::{DIRS, ENDINGS, MONTHS, NAMES, TOOLS, TOPS};

pub(super) fn host(rng: &mut Rng) -> String {
    let sub = any(rng, &["www.", "", "docs.", "mail.", "ftp.", "lists."]);
    let middle = if rng.chance(0.3) {
        letters(rng, 2, 8)
    } else {
        word(rng).to_owned()
    };
    format!(
        "{sub}{middle}{}.{}",
        any(rng, &["", "", "-lab", "24", "hub"]),
        any(rng, TOPS)
    )
}

pub(super) fn email(rng: &mut Rng) -> String {
    let name = any(rng, NAMES).to_lowercase().replace(' ', "");
    let user: String = name.chars().filter(char::is_ascii).collect();
    let address = format!(
        "{user}{}{}@{}",
        any(rng, &[".", "_", "-", ""]),
        word(rng),
        host(rng)
    );
    match rng.below(3) {
        0 => format!("<{address}>"),
        1 => format!("E-mail: {address}"),
        _ => address,
    }
}

pub(super) fn url(rng: &mut Rng) -> String {
    let mut out = format!(
        "{}://{}/",
        any(rng, &["http", "https", "https", "ftp", "git"]),
        host(rng)
    );
    for _ in 0..rng.int(0, 3) {
        out += word(rng);
        out += any(
            rng,
            &[
                "/",
                "/",
                "-",
                "_",
                ".html",
                "?id=12&lang=en",
                "#top",
                "~x/",
                "%20",
            ],
        );
    }
    out
}

pub(super) fn path(rng: &mut Rng) -> String {
    let mut out = any(rng, &["/", "/", "~/", "./", "../", "$HOME/", "C:\\"]).to_string();
    let separator = if out.ends_with('\\') { '\\' } else { '/' };
    for _ in 0..rng.int(1, 4) {
        out += if rng.chance(0.6) {
            any(rng, DIRS)
        } else {
            word(rng)
        };
        out.push(separator);
    }
    match rng.below(4) {
        0 => out,
        1 => format!("{out}*.{}", any(rng, ENDINGS)),
        2 => format!(
            "{out}{}{}.{}",
            word(rng),
            any(rng, &["_", "-", "."]),
            any(rng, ENDINGS)
        ),
        _ => format!("{out}{}.{}", word(rng), any(rng, ENDINGS)),
    }
}

pub(super) fn option(rng: &mut Rng) -> String {
    match rng.below(5) {
        0 => format!("-{}", letters(rng, 1, 3)),
        1 => format!("--{}", word(rng)),
        2 => format!("--{}={}", word(rng), rng.int(0, 512)),
        3 => format!("--{}-{} {}", word(rng), word(rng), path(rng)),
        _ => format!("-{}{}", letters(rng, 1, 1).to_uppercase(), rng.int(0, 9)),
    }
}

pub(super) fn command(rng: &mut Rng) -> String {
    let mut out = any(rng, &["$ ", "# ", "", "", "% ", "> ", "sudo ", "user@host:~$ "]).to_string();
    let parts = rng.int(1, 2);
    for part in 0..parts {
        if part > 0 {
            out += any(rng, &[" | ", " && ", " || ", "; ", " > /dev/null; ", " 2>&1 | "]);
        }
        out += any(rng, TOOLS);
        for _ in 0..rng.int(1, 3) {
            out.push(' ');
            out += &match rng.below(6) {
                0 => path(rng),
                1 => format!("\"{}\"", word(rng)),
                2 => format!("'{} {}'", word(rng), word(rng)),
                3 => format!("${{{}}}", word(rng).to_uppercase()),
                4 => word(rng).to_owned(),
                _ => option(rng),
            };
        }
    }
    out
}

pub(super) fn code(rng: &mut Rng) -> String {
    let (a, b, c) = (word(rng), word(rng), word(rng));
    let n = rng.int(0, 1024);
    match rng.below(16) {
        0 => format!("if ({a} == {n}) {{"),
        1 => format!("for (int i = 0; i < {n}; i++) {{"),
        2 => format!("let mut {a} = {b}.{c}()?;"),
        3 => format!("def {a}_{b}(self, {c}=None):"),
        4 => format!("return {a}[{n}] + {b};"),
        5 => format!("printf(\"%s: %d\\n\", {a}, {n});"),
        6 => format!("#include <{a}.h>"),
        7 => format!("fn {a}(&self, {b}: &str) -> Option<u{n}> {{"),
        8 => format!("{a}->{b} = {c} ? {n} : -1;"),
        9 => format!("SELECT {a}, {b} FROM {c} WHERE id = {n};"),
        10 => format!("<{a} class=\"{b}\">{c}</{a}>"),
        11 => format!("{{\"{a}\": {n}, \"{b}\": [\"{c}\", null]}}"),
        12 => format!("import {a}.{b} as {c}  # {n}"),
        13 => format!("while !{a} && {b} <= {n} {{ {c} += 1; }}"),
        14 => format!("x = [{a} for {a} in {b} if {a} != {n}]"),
        _ => format!("s/{a}\\([^{b}]*\\)/{c}/g"),
    }
}

pub(super) fn hex(rng: &mut Rng) -> String {
    let group = |rng: &mut Rng, n: usize| {
        (0..n)
            .map(|_| char::from_digit(rng.below(16) as u32, 16).unwrap_or('0'))
            .collect::<String>()
    };
    match rng.below(5) {
        0 => format!("0x{}", group(rng, 8)),
        1 => (0..6).map(|_| group(rng, 2)).collect::<Vec<_>>().join(":"),
        2 => (0..rng.int(4, 8))
            .map(|_| group(rng, 2))
            .collect::<Vec<_>>()
            .join(" "),
        3 => format!("#{}", group(rng, 6).to_uppercase()),
        _ => group(rng, 40),
    }
}

pub(super) fn uuid(rng: &mut Rng) -> String {
    let digits = format!("{:016x}{:016x}", rng.next(), rng.next());
    let at = |a: usize, b: usize| &digits[a..b];
    format!(
        "{}-{}-{}-{}-{}",
        at(0, 8),
        at(8, 12),
        at(12, 16),
        at(16, 20),
        at(20, 32)
    )
}

pub(super) fn package(rng: &mut Rng) -> String {
    let name = format!(
        "{}{}-{}",
        any(rng, &["lib", "python3-", "fonts-", "", "x", "g"]),
        word(rng),
        any(rng, &["dev", "doc", "common", "utils", "bin", "data", "core"])
    );
    match rng.below(4) {
        0 => name,
        1 => format!("Package: {name}"),
        2 => format!(
            "Depends: {name} (>= {}.{}), {}",
            rng.int(0, 9),
            rng.int(0, 30),
            any(rng, TOOLS)
        ),
        _ => format!(
            "ii  {name}  {}.{}-{}  all",
            rng.int(0, 9),
            rng.int(0, 30),
            rng.int(1, 5)
        ),
    }
}

pub(super) fn listing(rng: &mut Rng) -> String {
    let mode: String = (0..9)
        .map(|i| {
            if rng.chance(0.6) {
                char::from(b"rwx"[i % 3])
            } else {
                '-'
            }
        })
        .collect();
    format!(
        "{}{mode} {} root {} {} {} {:02} {:02}:{:02} {}.{}",
        any(rng, &["-", "d", "l"]),
        rng.int(1, 9),
        any(rng, &["root", "users", "staff"]),
        digits(rng, 2, 7),
        any(rng, &MONTHS[12..]),
        rng.int(1, 28),
        rng.int(0, 23),
        rng.int(0, 59),
        word(rng),
        any(rng, ENDINGS),
    )
}

pub(super) fn assignment(rng: &mut Rng) -> String {
    let key = word(rng);
    match rng.below(5) {
        0 => format!(
            "{}_{}={}",
            key.to_uppercase(),
            word(rng).to_uppercase(),
            path(rng)
        ),
        1 => format!("export {}=\"{}\"", key.to_uppercase(), word(rng)),
        2 => format!("{key} = {}", decimal(rng)),
        3 => format!("[{key}]"),
        _ => format!(
            "{key}: {}  # {}",
            any(rng, &["true", "false", "null", "0755", "yes"]),
            word(rng)
        ),
    }
}
