//! A module is named after what it holds. These names say only that nobody decided.

use super::source::Tree;

const SAY_NOTHING: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "misc", "manager"];

pub fn failures(tree: &Tree) -> Vec<String> {
    let mut failures = Vec::new();
    for source in &tree.sources {
        let path = &source.path;
        let parts = path
            .split('/')
            .map(|part| part.strip_suffix(".rs").unwrap_or(part));
        for part in parts.filter(|part| SAY_NOTHING.contains(part)) {
            failures.push(format!("{path}: `{part}` says nothing about what it holds"));
        }
        for (number, line) in source.code.lines().enumerate() {
            // A module in a file of its own is found by its path.
            let name = line
                .split_once("mod ")
                .and_then(|(_, rest)| rest.trim().strip_suffix('{'));
            if let Some(name) = name.map(str::trim).filter(|name| SAY_NOTHING.contains(name)) {
                failures.push(format!(
                    "{path}:{}: `mod {name}` says nothing about what it holds",
                    number + 1
                ));
            }
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::tree;
    use super::*;

    #[test]
    fn names_that_say_nothing_fail_wherever_they_stand() {
        for (path, text, count) in [
            ("crates/ocellus-nn/src/utils.rs", "", 1),
            ("crates/ocellus-nn/src/helpers/a.rs", "", 1),
            ("crates/ocellus-nn/tests/common/mod.rs", "", 1),
            ("crates/ocellus-nn/src/a.rs", "pub mod misc {\n}", 1),
            ("crates/ocellus-nn/src/a.rs", "mod rope {\n}\n// mod misc {", 0),
            ("crates/ocellus-nn/src/commonly.rs", "", 0),
        ] {
            assert_eq!(failures(&tree(&[(path, text)])).len(), count, "{path}: {text}");
        }
    }
}
