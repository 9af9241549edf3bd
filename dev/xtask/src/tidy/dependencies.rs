//! A dependency that a crate's sources never name is compiled for nothing.

use std::path::Path;

use super::metadata::{Kind, Package, packages};
use super::source::{self, Source, Tree};
use super::tokens::{Token, tokens};

/// `(crate, dependency, reason)` of those that no code names. An exception that nothing needs any more is a failure.
const ALLOWED: &[(&str, &str, &str)] = &[];

pub fn failures(root: &Path, tree: &Tree) -> Vec<String> {
    match packages(root) {
        Ok(packages) => check(tree, &packages, ALLOWED),
        Err(error) => vec![error],
    }
}

fn check(tree: &Tree, packages: &[Package], allowed: &[(&str, &str, &str)]) -> Vec<String> {
    let mut failures = Vec::new();
    let mut needed = vec![false; allowed.len()];
    for package in packages {
        let own: Vec<&Source> = (tree.sources.iter())
            .filter(|source| source.room == package.room)
            .collect();
        let words = |kind| {
            own.iter()
                .filter(move |source| may_name(source, kind))
                .map(move |source| code(source, kind))
        };
        for used in &package.uses {
            if words(used.kind).any(|code| code.contains(&Token::Word(&used.word))) {
                continue;
            }
            let is_it = |(room, name, _): &(&str, &str, &str)| *room == package.name && *name == used.name;
            match allowed.iter().position(is_it) {
                Some(place) => needed[place] = true,
                None => failures.push(format!(
                    "{}/Cargo.toml: `{}` is a dependency that no {} names",
                    package.room,
                    used.name,
                    match used.kind {
                        Kind::Normal => "code of the crate",
                        Kind::Dev => "test, example or bench",
                        Kind::Build => "build script",
                    }
                )),
            }
        }
    }
    for ((room, name, reason), _) in allowed.iter().zip(needed).filter(|(_, needed)| !needed) {
        failures.push(format!(
            "{room}: `{name}` needs no exception any more (\"{reason}\")"
        ));
    }
    failures
}

/// Whether a dependency of a kind may be there for a file.
fn may_name(source: &Source, kind: Kind) -> bool {
    match kind {
        Kind::Normal => source.kind == source::Kind::Shipped,
        // Tests stand among what ships, too.
        Kind::Dev => source.kind != source::Kind::Build,
        Kind::Build => source.kind == source::Kind::Build,
    }
}

fn code(source: &Source, kind: Kind) -> Vec<Token<'_>> {
    tokens(if kind == Kind::Dev {
        &source.whole
    } else {
        &source.code
    })
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Dependency;
    use super::super::source::tests::tree;
    use super::*;

    fn found(kind: Kind, path: &str, text: &str, allowed: &[(&str, &str, &str)]) -> Vec<String> {
        let package = Package {
            name: "a".into(),
            room: "crates/a".into(),
            uses: vec![Dependency {
                name: "b-c".into(),
                word: "b_c".into(),
                kind,
            }],
        };
        check(&tree(&[(path, text)]), &[package], allowed)
    }

    #[test]
    fn dependencies_are_named_where_they_are_for() {
        let test = "#[cfg(test)]\nmod tests { use b_c::D; }";
        for (kind, path, text, is_good) in [
            (Kind::Normal, "crates/a/src/x.rs", "use b_c::D;", true),
            (
                Kind::Normal,
                "crates/a/src/x.rs",
                "#[derive(b_c::Derived)] struct X;",
                true,
            ),
            (Kind::Normal, "crates/a/src/x.rs", "b_c!(x)", true),
            (
                Kind::Normal,
                "crates/a/src/x.rs",
                "// b_c\nlet x = \"b_c\"; b_c_d",
                false,
            ),
            (Kind::Normal, "crates/a/src/x.rs", test, false),
            (Kind::Normal, "crates/a/tests/x.rs", "use b_c::D;", false),
            (Kind::Normal, "crates/other/src/x.rs", "use b_c::D;", false),
            (Kind::Dev, "crates/a/src/x.rs", test, true),
            (Kind::Dev, "crates/a/tests/x.rs", "use b_c::D;", true),
            (Kind::Dev, "crates/a/benches/x.rs", "b_c::f()", true),
            (Kind::Dev, "crates/a/examples/x.rs", "f()", false),
            (Kind::Build, "crates/a/build.rs", "b_c::f()", true),
            (Kind::Build, "crates/a/src/x.rs", "b_c::f()", false),
        ] {
            let found = found(kind, path, text, &[]);
            assert_eq!(found.is_empty(), is_good, "{kind:?} {path} {text}: {found:?}");
        }
    }

    #[test]
    fn an_exception_must_be_needed() {
        let allowed = [("a", "b-c", "turns on a feature")];
        assert_eq!(
            found(Kind::Normal, "crates/a/src/x.rs", "", &allowed),
            Vec::<String>::new()
        );
        let named = found(Kind::Normal, "crates/a/src/x.rs", "use b_c::D;", &allowed);
        assert!(
            named[0].contains("needs no exception any more (\"turns on a feature\")"),
            "{named:?}"
        );
    }
}
