//! `unsafe` lives in two rooms; everywhere else the workspace's lints forbid it, and no crate opts out.

use super::source::Tree;

/// Kernels need it for vector instructions, weights for mapping files.
const MAY: [&str; 2] = ["crates/ocellus-kernels", "crates/ocellus-weights"];

pub fn failures(tree: &Tree) -> Vec<String> {
    let mut failures = Vec::new();
    for source in tree
        .sources
        .iter()
        .filter(|source| !MAY.contains(&source.room.as_str()))
    {
        for (number, line) in source.code.lines().enumerate() {
            if words(line).any(|word| word == "unsafe") {
                let (path, number) = (&source.path, number + 1);
                failures.push(format!(
                    "{path}:{number}: `unsafe` outside ocellus-kernels and ocellus-weights"
                ));
            }
        }
    }
    for manifest in &tree.manifests {
        let lines: Vec<String> = manifest.text.lines().map(|line| line.replace(' ', "")).collect();
        let has = |wanted: &str| lines.iter().any(|line| line.starts_with(wanted));
        let (path, room) = (&manifest.path, manifest.room.as_str());
        let inherits = has("[lints]") && has("workspace=true") || has("lints.workspace=true");
        if !MAY.contains(&room) && !inherits {
            failures.push(format!(
                "{path}: does not take the workspace's lints (`[lints] workspace = true`)"
            ));
        }
        let careful =
            has("undocumented_unsafe_blocks=\"deny\"") || has("undocumented_unsafe_blocks={level=\"deny\"");
        if MAY.contains(&room) && !inherits && !careful {
            failures.push(format!(
                "{path}: allows `unsafe` without `undocumented_unsafe_blocks = \"deny\"`"
            ));
        }
    }
    failures
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|char: char| !char.is_alphanumeric() && char != '_')
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::tree;
    use super::*;

    #[test]
    fn unsafe_code_has_two_rooms() {
        for (path, text, count) in [
            ("crates/ocellus-nn/src/a.rs", "unsafe { f() }", 1),
            ("crates/ocellus-nn/tests/a.rs", "unsafe fn f() {}", 1),
            (
                "crates/ocellus-nn/src/a.rs",
                "// unsafe\nlet unsafe_code = \"unsafe\";",
                0,
            ),
            ("crates/ocellus-kernels/src/a.rs", "unsafe { f() }", 0),
            ("crates/ocellus-weights/src/a.rs", "unsafe { f() }", 0),
        ] {
            assert_eq!(failures(&tree(&[(path, text)])).len(), count, "{path}: {text}");
        }
    }

    #[test]
    fn no_crate_opts_out_of_the_lints() {
        let own = "[lints.rust]\nunsafe_code = \"allow\"\n";
        let careful = "[lints.clippy]\nundocumented_unsafe_blocks = \"deny\"\n";
        for (path, text, count) in [
            ("crates/ocellus-nn/Cargo.toml", "[lints]\nworkspace = true\n", 0),
            ("crates/ocellus-nn/Cargo.toml", "[dependencies]\n", 1),
            ("crates/ocellus-nn/Cargo.toml", careful, 1),
            ("crates/ocellus-kernels/Cargo.toml", careful, 0),
            (
                "crates/ocellus-kernels/Cargo.toml",
                "[lints]\nworkspace = true\n",
                0,
            ),
            ("crates/ocellus-weights/Cargo.toml", own, 1),
        ] {
            assert_eq!(failures(&tree(&[(path, text)])).len(), count, "{path}: {text}");
        }
    }
}
