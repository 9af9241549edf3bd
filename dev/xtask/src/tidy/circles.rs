//! Files of a crate depend on each other one way.
//!
//! Two rules in one: no file is reached from itself by what files use of one another, and no facade (`lib.rs`, `mod.rs`,
//! `x.rs` beside `x/`) re-exports a file that needs something of the facade itself: such a value has a file of its own.

use std::collections::{BTreeSet, VecDeque};

use super::edges::{Files, Named};
use super::source::Tree;

/// How the paths of files begin that are part of a circle and wait to be mended; one that is not any more makes tidy fail.
const KNOWN: &[&str] = &[];

pub fn failures(tree: &Tree) -> Vec<String> {
    check(tree, KNOWN)
}

fn check(tree: &Tree, known: &[&str]) -> Vec<String> {
    let mut failures = Vec::new();
    let mut needed = vec![false; known.len()];
    let mut rooms: Vec<&str> = tree
        .manifests
        .iter()
        .map(|manifest| manifest.room.as_str())
        .collect();
    rooms.dedup();
    for room in rooms {
        let files = Files::of(tree, room);
        let all = together(&files);
        for group in groups(&all) {
            let paths = || group.iter().map(|place| files.sources[*place].path.as_str());
            paths()
                .filter_map(|path| known.iter().position(|known| path.starts_with(known)))
                .for_each(|place| needed[place] = true);
            if !paths().all(|path| known.iter().any(|known| path.starts_with(known))) {
                failures.push(sentence(&files, &all, &group));
            }
        }
    }
    for (path, _) in known.iter().zip(needed).filter(|(_, needed)| !needed) {
        failures.push(format!("{path}: is in no circle any more; drop it from KNOWN"));
    }
    failures
}

/// What each file uses or hands on.
fn together(files: &Files) -> Vec<Named> {
    let mut all = files.uses.clone();
    for (all, more) in all.iter_mut().zip(&files.hands_on) {
        for (file, names) in more {
            all.entry(*file).or_default().extend(names.iter().cloned());
        }
    }
    all
}

/// Every set of files that all lead to one another.
fn groups(uses: &[Named]) -> Vec<Vec<usize>> {
    let reached: Vec<Vec<Option<usize>>> = (0..uses.len()).map(|start| before(uses, start)).collect();
    let mut groups = Vec::new();
    let mut placed = vec![false; uses.len()];
    for start in 0..uses.len() {
        let mutual = |other: &usize| reached[start][*other].is_some() && reached[*other][start].is_some();
        let group: Vec<usize> = (0..uses.len()).filter(mutual).collect();
        if !placed[start] && !group.is_empty() {
            group.iter().for_each(|place| placed[*place] = true);
            groups.push(group);
        }
    }
    groups
}

/// For every file that is reached from `start` the one before it on a shortest way.
fn before(uses: &[Named], start: usize) -> Vec<Option<usize>> {
    let (mut before, mut queue) = (vec![None; uses.len()], VecDeque::from([start]));
    while let Some(place) = queue.pop_front() {
        for next in uses[place].keys() {
            if before[*next].is_none() {
                before[*next] = Some(place);
                queue.push_back(*next);
            }
        }
    }
    before
}

/// A shortest circle through the first file of a group and, where that is not all of it, a line of needs for every file.
fn sentence(files: &Files, uses: &[Named], group: &[usize]) -> String {
    let own = format!("{}/src/", files.sources[group[0]].room);
    let short = |place: usize| files.sources[place].path.trim_start_matches(&own);
    let before = before(uses, group[0]);
    let (mut steps, mut next) = (Vec::new(), group[0]);
    while let Some(place) = before[next].filter(|_| steps.is_empty() || next != group[0]) {
        let name = uses[place][&next].first().map_or("", String::as_str);
        steps.push(format!("`{name}` of {}", short(next)));
        next = place;
    }
    steps.reverse();
    let path = &files.sources[group[0]].path;
    let mut text = format!("{path}: a circle of files: needs {}", steps.join(", that needs "));
    if group.len() > steps.len() {
        text += &format!("; {} files are in circles here:", group.len());
        for place in group {
            let inside = uses[*place].iter().filter(|(next, _)| group.contains(next));
            let needs = |(next, names): (&usize, &BTreeSet<String>)| {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                format!("{} ({})", short(*next), names.join(" "))
            };
            let needs: Vec<String> = inside.map(needs).collect();
            text += &format!("\n    {} needs {}", short(*place), needs.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::tree;
    use super::*;

    fn found(files: &[(&str, &str)], known: &[&str]) -> Vec<String> {
        let mut files = files.to_vec();
        files.push(("crates/a/Cargo.toml", ""));
        check(&tree(&files), known)
    }

    #[test]
    fn files_that_need_each_other_are_a_circle() {
        for (what, files, expected) in [
            (
                "one way",
                &[
                    ("crates/a/src/a.rs", "use crate::b::B;"),
                    ("crates/a/src/b.rs", "use crate::c::C; pub struct B;"),
                    ("crates/a/src/c.rs", "pub struct C;"),
                ][..],
                None,
            ),
            (
                "three files around",
                &[
                    ("crates/a/src/a.rs", "use crate::b::B; pub struct A;"),
                    ("crates/a/src/b.rs", "use crate::c::C; pub struct B;"),
                    ("crates/a/src/c.rs", "use crate::a::A; pub struct C;"),
                ],
                Some(
                    "crates/a/src/a.rs: a circle of files: needs `B` of b.rs, that needs `C` of c.rs, that needs `A` of a.rs",
                ),
            ),
            (
                "a facade of a file that needs the facade",
                &[
                    ("crates/a/src/lib.rs", "mod b; pub use b::B; pub struct Value;"),
                    ("crates/a/src/b.rs", "use crate::Value; pub struct B;"),
                ],
                Some(
                    "crates/a/src/lib.rs: a circle of files: needs `B` of b.rs, that needs `Value` of lib.rs",
                ),
            ),
            (
                "a facade that only declares",
                &[
                    ("crates/a/src/lib.rs", "mod b; pub struct Value;"),
                    ("crates/a/src/b.rs", "use crate::Value; pub struct B;"),
                ],
                None,
            ),
            (
                "the value has its own file",
                &[
                    (
                        "crates/a/src/lib.rs",
                        "mod b; mod value; pub use b::B; pub use value::Value;",
                    ),
                    ("crates/a/src/b.rs", "use crate::Value; pub struct B;"),
                    ("crates/a/src/value.rs", "pub struct Value;"),
                ],
                None,
            ),
            (
                "only a test looks back",
                &[
                    ("crates/a/src/a.rs", "use crate::b::B; pub struct A;"),
                    (
                        "crates/a/src/b.rs",
                        "pub struct B;\n#[cfg(test)]\nmod tests { use crate::a::A; }",
                    ),
                ],
                None,
            ),
        ] {
            let found = found(files, &[]);
            assert_eq!(found.first().map(String::as_str), expected, "{what}");
            assert_eq!(found.len(), usize::from(expected.is_some()), "{what}: {found:?}");
        }
    }

    #[test]
    fn known_circles_may_only_shrink() {
        let circle = [
            ("crates/a/src/a.rs", "use crate::b::B; pub struct A;"),
            ("crates/a/src/b.rs", "use crate::a::A; pub struct B;"),
        ];
        let both = ["crates/a/src/a.rs", "crates/a/src/b.rs"];
        assert_eq!(found(&circle, &both), Vec::<String>::new());
        assert_eq!(found(&circle, &both[..1]).len(), 1);
        let mended = found(&circle[..1], &both);
        assert!(
            mended[1].starts_with("crates/a/src/b.rs: is in no circle any more"),
            "{mended:?}"
        );
    }
}
