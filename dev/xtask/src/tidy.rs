//! `cargo xtask tidy`: the rules of `ARCHITECTURE.md` that a machine can check.
//!
//! Each rule is one file: a function from the source tree to the sentences that say what breaks it. [`size`] is
//! no rule: it lists places worth a look and never fails.

mod circles;
mod dependencies;
mod edges;
mod families;
mod goldens;
mod limits;
mod lints;
mod metadata;
mod names;
mod reach;
mod rooms;
mod scopes;
mod size;
mod source;
mod tokens;

use std::path::Path;
use std::process::ExitCode;

use source::Tree;

/// Prints what breaks a rule and, for information, what has grown large.
pub fn run(root: &Path) -> ExitCode {
    let failures = failures(root);
    for failure in &failures {
        println!("{failure}");
    }
    let notes = Tree::read(root)
        .map(|tree| size::notes(&tree))
        .unwrap_or_default();
    if !notes.is_empty() {
        println!(
            "\nfor information ({} places to look at, not failures):",
            notes.len()
        );
        notes.iter().for_each(|note| println!("  {note}"));
    }
    if failures.is_empty() {
        println!("\ntidy: passed");
        ExitCode::SUCCESS
    } else {
        println!("\ntidy: {} failures", failures.len());
        ExitCode::FAILURE
    }
}

/// One sentence per broken rule and place, each starting with the file.
pub fn failures(root: &Path) -> Vec<String> {
    let tree = match Tree::read(root) {
        Ok(tree) => tree,
        Err(error) => {
            return vec![format!(
                "{}: cannot read the source tree: {error}",
                root.display()
            )];
        }
    };
    [
        rooms::failures(root),
        families::failures(&tree),
        reach::failures(&tree),
        lints::failures(&tree),
        names::failures(&tree),
        goldens::failures(&tree),
        circles::failures(&tree),
        limits::failures(&tree),
        dependencies::failures(root, &tree),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_tidy() {
        let failures = failures(&crate::root());
        assert!(
            failures.is_empty(),
            "run `cargo xtask tidy`:\n{}",
            failures.join("\n")
        );
    }

    #[test]
    fn a_tree_that_cannot_be_read_is_a_failure() {
        assert_eq!(failures(Path::new("/nonexistent")).len(), 1);
    }
}
