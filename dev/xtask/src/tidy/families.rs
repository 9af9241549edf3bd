//! No family's name outside `ocellus-models/src/families*`: not in code, not in literals, not in comments. A shared
//! block that knows a family's name will sooner or later behave differently for it.
//!
//! Tests are free to name families. Every other exception stands in [`ALLOWED`] with its reason.

use super::source::{Source, Tree};

/// Where families live.
const HOME: &str = "crates/ocellus-models/src/families";

/// The families' names, without version numbers.
const NAMES: [&str; 8] = [
    "qwen", "pixtral", "blip", "vilt", "albef", "vlmo", "uniter", "vilbert",
];

/// `(start of the path, reason)`. An exception that nothing needs any more is a failure.
const ALLOWED: &[(&str, &str)] = &[
    (
        "crates/ocellus-media/src/smart_resize.rs",
        "the published rule has no other name than its family's",
    ),
    (
        "crates/ocellus/src/verify/processors.rs",
        "cases call processors by the names of their families",
    ),
    (
        "crates/ocellus-text/src/ranks.rs",
        "a rank file does not say how to split text: the published pattern is a constant",
    ),
    ("crates/ocellus-text/src/lib.rs", "exports that constant"),
    (
        "crates/ocellus-text/src/folder.rs",
        "a vocabulary with merges does not say how to split text either",
    ),
    (
        "crates/ocellus-text/src/template.rs",
        "the published template that stands in where a checkpoint has none",
    ),
];

pub fn failures(tree: &Tree) -> Vec<String> {
    check(tree, ALLOWED)
}

fn check(tree: &Tree, allowed: &[(&str, &str)]) -> Vec<String> {
    let mut failures = Vec::new();
    let mut needed = vec![false; allowed.len()];
    let rooms = tree
        .shipped()
        .filter(|source| source.path.starts_with("crates/") && !source.path.starts_with(HOME));
    for source in rooms {
        let found = mentions(source);
        match allowed.iter().position(|(path, _)| source.path.starts_with(path)) {
            Some(place) => needed[place] |= !found.is_empty(),
            None => failures.extend(found),
        }
    }
    for ((path, reason), _) in allowed.iter().zip(needed).filter(|(_, needed)| !needed) {
        failures.push(format!(
            "{path}: no longer names a family; drop the exception \"{reason}\""
        ));
    }
    failures
}

fn mentions(source: &Source) -> Vec<String> {
    let lines = source.told.lines().enumerate();
    let named = lines.filter_map(|(number, line)| Some((number + 1, family(line)?)));
    named
        .map(|(number, name)| format!("{}:{number}: names the family `{name}`", source.path))
        .collect()
}

/// The family that a line names, if any.
fn family(line: &str) -> Option<&'static str> {
    if line.trim_start().starts_with("//") && line.contains("arXiv:") {
        return None;
    }
    NAMES
        .into_iter()
        .find(|name| has_name(line, name))
        .or_else(|| names_clip(line).then_some("clip"))
}

/// True when `name` stands in `line` as a word or as a part of an identifier: `qwen2_vl`, `Qwen25Vl`, `MyQwen`.
fn has_name(line: &str, name: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    lower.match_indices(name).any(|(at, _)| {
        let (before, found) = (line[..at].chars().next_back(), &line[at..at + name.len()]);
        let after = line[at + name.len()..].chars().next();
        let capital = found.starts_with(|char: char| char.is_ascii_uppercase());
        let starts = !before.is_some_and(|b| b.is_ascii_alphabetic() && !(capital && b.is_ascii_lowercase()));
        let ends = !after.is_some_and(|a| a.is_ascii_lowercase());
        starts && ends
    })
}

/// "clip" is also a verb (gradients, rectangles) and a piece of film: only `CLIP`, a type `Clip…`, a path `clip::`
/// and the literals `"clip"`, `"clip_…"`, `"clip-…"` mean the family.
fn names_clip(line: &str) -> bool {
    let word = |part: &str| part.len() == 4 && part == "CLIP";
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let mut words = line.split(|char| !is_word(char));
    let literal = ["\"clip\"", "\"clip_", "\"clip-"]
        .iter()
        .any(|literal| line.contains(literal));
    let path = line
        .match_indices("clip::")
        .any(|(at, _)| !line[..at].ends_with(is_word));
    let named = words.any(|w| {
        let kind = w
            .strip_prefix("Clip")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_uppercase));
        kind || w.split('_').any(word)
    });
    literal || path || named
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::tree;
    use super::*;

    #[test]
    fn names_are_found_as_words_and_parts_of_identifiers() {
        for (line, name) in [
            ("let qwen = 1;", Some("qwen")),
            ("struct Qwen25Vl;", Some("qwen")),
            ("// as Qwen2-VL does", Some("qwen")),
            ("\"Qwen/Qwen2-VL-2B\"", Some("qwen")),
            ("struct TinyPixtral;", Some("pixtral")),
            ("const BLIP_2: u8 = 2;", Some("blip")),
            ("fn vilt_mask() {}", Some("vilt")),
            ("vilbert::load()", Some("vilbert")),
            (
                "//! The merger of Qwen2-VL (arXiv:2409.12191, section 2.1).",
                None,
            ),
            (
                "const SOURCE: &str = \"Qwen2-VL, arXiv:2409.12191\";",
                Some("qwen"),
            ),
            ("// a reuniter", None),
            ("let blipping = 1;", None),
            ("let qwenish = 1;", None),
            ("norm.clip(1.0); clip_norm; // clip it", None),
            ("match id { \"clip\" => 1 }", Some("clip")),
            ("// the mean of CLIP", Some("clip")),
            ("const CLIP_MEAN: f32 = 0.0;", Some("clip")),
            ("struct ClipText;", Some("clip")),
            ("enum Clippy {}", None),
            ("use crate::clip::Text;", Some("clip")),
            ("use crate::eclip::Text;", None),
            ("é and nothing else", None),
        ] {
            assert_eq!(family(line), name, "{line}");
        }
    }

    #[test]
    fn families_are_named_at_home_and_in_tests_only() {
        for (path, text, count) in [
            ("crates/ocellus-nn/src/a.rs", "fn qwen() {}", 1),
            ("crates/ocellus-nn/src/a.rs", "\n// like Qwen2-VL\n", 1),
            (
                "crates/ocellus-nn/src/a.rs",
                "#[cfg(test)]\nmod tests { const A: &str = \"qwen2_vl\"; }",
                0,
            ),
            ("crates/ocellus-nn/tests/a.rs", "fn qwen() {}", 0),
            ("crates/ocellus-models/src/registry.rs", "fn qwen() {}", 1),
            ("crates/ocellus-models/src/families.rs", "mod qwen2_vl;", 0),
            (
                "crates/ocellus-models/src/families/qwen2_vl.rs",
                "fn qwen() {}",
                0,
            ),
        ] {
            assert_eq!(check(&tree(&[(path, text)]), &[]).len(), count, "{path}: {text}");
        }
    }

    #[test]
    fn an_exception_holds_for_its_path_and_must_be_needed() {
        let allowed = [("crates/ocellus-text/src/template.rs", "a reason")];
        let named = tree(&[("crates/ocellus-text/src/template.rs", "// Qwen2-VL")]);
        assert_eq!(check(&named, &allowed), Vec::<String>::new());
        let clean = tree(&[("crates/ocellus-text/src/template.rs", "// nothing")]);
        assert!(check(&clean, &allowed)[0].contains("drop the exception \"a reason\""));
        let elsewhere = tree(&[("crates/ocellus-text/src/other.rs", "// Qwen2-VL")]);
        assert_eq!(check(&elsewhere, &allowed).len(), 2);
    }
}
