//! Every registered family has golden cases: a family that nothing compares with its reference does not exist.

use std::fs;

use super::source::Tree;

const FAMILIES: &str = "crates/ocellus-models/src/families";
const GOLDENS: &str = "tests/goldens";

pub fn failures(tree: &Tree) -> Vec<String> {
    let folder = tree.root.join(GOLDENS);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) => return vec![format!("{GOLDENS}: {error}")],
    };
    let cases: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("case.json").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    check(tree, &cases)
}

fn check(tree: &Tree, cases: &[String]) -> Vec<String> {
    let families = registered(tree);
    if families.is_empty() {
        return vec![format!("{FAMILIES}: no file with `FAMILY: Family` and an `id`")];
    }
    let bare = families.iter().filter(|(_, names)| {
        !names
            .iter()
            .any(|name| cases.iter().any(|case| case.starts_with(&format!("{name}-"))))
    });
    bare.map(|(path, names)| (path, names.first().copied().unwrap_or_default()))
        .map(|(path, id)| format!("{path}: family `{id}` has no case {GOLDENS}/{id}-*/case.json"))
        .collect()
}

/// The file of every family, its id and its other names.
fn registered(tree: &Tree) -> Vec<(&str, Vec<&str>)> {
    let files = tree.shipped().filter(|source| source.path.starts_with(FAMILIES));
    files
        .filter_map(|source| Some((source.path.as_str(), names(&source.told)?)))
        .collect()
}

/// The texts of `id: "…"` and `also: &["…", …]` after the constant `FAMILY`.
fn names(text: &str) -> Option<Vec<&str>> {
    let (_, constant) = text.split_once("FAMILY: Family")?;
    let (_, id) = constant.split_once("id: \"")?;
    let also = constant
        .split_once("also: &[")
        .and_then(|(_, list)| list.split_once(']'))
        .map_or("", |(list, _)| list);
    let others = also.split('"').skip(1).step_by(2);
    Some(id.split('"').next().into_iter().chain(others).collect())
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::tree;
    use super::*;

    #[test]
    fn a_family_without_cases_is_named() {
        let family = "pub(super) const FAMILY: Family = Family {\n    id: \"one\",\n};";
        let tree = tree(&[("crates/ocellus-models/src/families/one.rs", family)]);
        assert_eq!(check(&tree, &["one-logits".into()]), Vec::<String>::new());
        for cases in [vec![], vec!["one".to_string()], vec!["one_2-logits".to_string()]] {
            let found = check(&tree, &cases);
            assert!(found[0].contains("families/one.rs: family `one`"), "{found:?}");
        }
    }

    #[test]
    fn cases_may_bear_another_name_of_a_family() {
        let family = "pub(super) const FAMILY: Family = Family {\n    id: \"one\",\n    also: &[\"two\", \"uno\"],\n};";
        let tree = tree(&[("crates/ocellus-models/src/families/one.rs", family)]);
        assert_eq!(check(&tree, &["uno-logits".into()]), Vec::<String>::new());
        assert_eq!(check(&tree, &["tre-logits".into()]).len(), 1);
    }

    #[test]
    fn no_family_at_all_is_a_failure() {
        assert_eq!(
            check(&tree(&[("crates/ocellus-models/src/families/one.rs", "")]), &[]).len(),
            1
        );
    }
}
