//! Which file of a crate names what another one defines.
//!
//! Facades do not count as definers of what they re-export: `use crate::Name` leads to the file where `Name` is written.

use std::collections::{BTreeMap, BTreeSet};

use super::scopes::{Import, Scope, scopes};
use super::source::{Source, Tree};

/// Places of files that are named, with the names.
pub type Named = BTreeMap<usize, BTreeSet<String>>;

/// The files of one crate and what each names.
pub struct Files<'t> {
    pub sources: Vec<&'t Source>,
    /// For each file what its code needs.
    pub uses: Vec<Named>,
    /// For each file what it hands on from modules inside it.
    pub hands_on: Vec<Named>,
}

/// How many names may stand for one another before it is taken as a circle of names.
const LONGEST: usize = 16;

impl<'t> Files<'t> {
    /// The files under `src` of a crate; tests are none of it.
    pub fn of(tree: &'t Tree, room: &str) -> Self {
        let own = format!("{room}/src/");
        let sources: Vec<&Source> = tree
            .shipped()
            .filter(|source| source.room == room && source.path.starts_with(&own))
            .collect();
        let scopes = sources
            .iter()
            .enumerate()
            .flat_map(|(i, source)| scopes(source, i));
        let modules = Modules::new(scopes.collect());
        let (mut uses, mut hands_on) = (
            vec![Named::new(); sources.len()],
            vec![Named::new(); sources.len()],
        );
        for scope in &modules.scopes {
            for (file, name) in modules.handed_on(scope) {
                hands_on[scope.file].entry(file).or_default().insert(name);
            }
            for (file, name) in modules.used(scope) {
                uses[scope.file].entry(file).or_default().insert(name);
            }
        }
        for (own, named) in uses.iter_mut().chain(&mut hands_on).enumerate() {
            named.remove(&(own % sources.len()));
        }
        Self {
            sources,
            uses,
            hands_on,
        }
    }
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// Something that the file of this place defines, and its name there.
    Item(usize, String),
    Module(Vec<String>),
}

struct Modules {
    scopes: Vec<Scope>,
    places: BTreeMap<Vec<String>, usize>,
}

impl Modules {
    fn new(scopes: Vec<Scope>) -> Self {
        let places = scopes
            .iter()
            .enumerate()
            .map(|(i, scope)| (scope.module.clone(), i));
        Self {
            places: places.collect(),
            scopes,
        }
    }

    fn scope(&self, module: &[String]) -> Option<&Scope> {
        self.places.get(module).map(|place| &self.scopes[*place])
    }

    /// Whether an import of a scope is a re-export of what stands in modules inside it.
    fn is_handed_on(&self, scope: &Scope, import: &Import) -> bool {
        import.public
            && match self.resolve(&scope.module, &import.path, 0) {
                Some(Target::Item(file, _)) => {
                    let inside = self.scopes.iter().find(|s| s.file == file);
                    inside.is_some_and(|s| {
                        s.module.len() > scope.module.len() && s.module.starts_with(&scope.module)
                    })
                }
                Some(Target::Module(module)) => module.starts_with(&scope.module),
                None => false,
            }
    }

    fn handed_on(&self, scope: &Scope) -> Vec<(usize, String)> {
        let imports = scope
            .imports
            .iter()
            .filter(|import| self.is_handed_on(scope, import));
        let target = |import: &Import| match self.resolve(&scope.module, &import.path, 0)? {
            Target::Item(file, name) => Some((file, name)),
            Target::Module(module) => Some((self.scope(&module)?.file, import.name.clone())),
        };
        imports.filter_map(target).collect()
    }

    /// Files whose items the code of a scope needs, with the items' names. A module that is imported is no need yet: what is
    /// named through it is.
    fn used(&self, scope: &Scope) -> Vec<(usize, String)> {
        let imports = scope
            .imports
            .iter()
            .filter(|import| !self.is_handed_on(scope, import));
        let (globs, single): (Vec<_>, Vec<_>) = imports.partition(|import| import.name == "*");
        let paths = single.iter().map(|import| &import.path).chain(&scope.paths);
        let item = |path: &Vec<String>| match self.resolve(&scope.module, path, 0)? {
            Target::Item(file, name) => Some((file, name)),
            Target::Module(_) => None,
        };
        let mut found: Vec<(usize, String)> = paths.filter_map(item).collect();
        for glob in globs {
            if let Some(Target::Module(module)) = self.resolve(&scope.module, &glob.path, 0) {
                let words = scope.words.iter();
                let of_module = words.filter_map(|word| match self.find(&module, word, &[], 0)? {
                    Target::Item(file, name) => Some((file, name)),
                    Target::Module(_) => None,
                });
                found.extend(of_module);
            }
        }
        found
    }

    /// What a path means in a module; nothing when it leaves the crate.
    fn resolve(&self, module: &[String], path: &[String], steps: usize) -> Option<Target> {
        if steps > LONGEST {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let (from, rest) = match first.as_str() {
            "crate" => (&[][..], rest),
            "self" => (module, rest),
            "super" => {
                let above = &module[..module.len().checked_sub(1)?];
                // `super::super` and so on.
                return match rest.first().map(String::as_str) {
                    Some("super") => self.resolve(above, rest, steps + 1),
                    Some(_) => self.find(above, &rest[0], &rest[1..], steps + 1),
                    None => Some(Target::Module(above.to_vec())),
                };
            }
            _ => return self.find(module, first, rest, steps + 1),
        };
        match rest.split_first() {
            Some((first, rest)) => self.find(from, first, rest, steps + 1),
            None => Some(Target::Module(from.to_vec())),
        }
    }

    /// What `name`, and `rest` in it, mean in a module.
    fn find(&self, module: &[String], name: &str, rest: &[String], steps: usize) -> Option<Target> {
        if steps > LONGEST {
            return None;
        }
        let inner = [module, &[name.to_owned()]].concat();
        let is_module = self.places.contains_key(&inner);
        if let (true, Some((first, rest))) = (is_module, rest.split_first())
            && let Some(found) = self.find(&inner, first, rest, steps + 1)
        {
            return Some(found);
        }
        let own = (is_module && rest.is_empty()).then_some(Target::Module(inner));
        let Some(scope) = self.scope(module) else {
            return own;
        };
        if scope.items.contains(name) {
            return Some(Target::Item(scope.file, name.to_owned()));
        }
        // A module may have a name in common with what is in it: the import says more.
        let named = scope.imports.iter().filter(|import| import.name == name);
        let through = |import: &Import| {
            let path = [&import.path[..], rest].concat();
            // `use x::x` beside `mod x` is about the module.
            self.resolve(module, &path, steps + 1)
        };
        let found = named.filter_map(through).next();
        let from_glob = || {
            let globs = scope.imports.iter().filter(|import| import.name == "*");
            let mut found = globs.filter_map(|glob| match self.resolve(module, &glob.path, steps + 1)? {
                Target::Module(inside) if inside != module => self.find(&inside, name, rest, steps + 1),
                _ => None,
            });
            found.next()
        };
        found.or(own).or_else(from_glob)
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::tree;
    use super::*;

    /// `from to name` for every use of a made-up crate `crates/a`.
    fn uses(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<(String, &str)> = (files.iter())
            .map(|(path, text)| (format!("crates/a/src/{path}"), *text))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let tree = tree(&files);
        let files = Files::of(&tree, "crates/a");
        let short = |place: usize| {
            files.sources[place]
                .path
                .trim_start_matches("crates/a/src/")
                .to_owned()
        };
        let mut found = Vec::new();
        for (from, named) in files.uses.iter().enumerate() {
            for (to, names) in named {
                found.extend(
                    names
                        .iter()
                        .map(|name| format!("{} {} {name}", short(from), short(*to))),
                );
            }
        }
        found
    }

    #[test]
    fn names_lead_to_the_file_that_defines_them() {
        for (what, files, expected) in [
            (
                "an import",
                &[("a.rs", "use crate::b::B;"), ("b.rs", "pub struct B;")][..],
                &["a.rs b.rs B"][..],
            ),
            (
                "an import of what is elsewhere",
                &[("a.rs", "use std::b::B; use c::D;")],
                &[],
            ),
            (
                "through a facade",
                &[
                    ("lib.rs", "mod a; mod b; pub use b::{B, C as D};"),
                    ("a.rs", "use crate::{B, D};"),
                    ("b.rs", "pub struct B; pub fn C() {}"),
                ],
                &["a.rs b.rs B", "a.rs b.rs C"],
            ),
            (
                "through two facades and a glob",
                &[
                    ("lib.rs", "pub use deep::*;"),
                    ("deep/mod.rs", "pub use self::low::Low;"),
                    ("deep/low.rs", "pub enum Low { A }"),
                    ("a.rs", "use crate::Low::A;"),
                ],
                &["a.rs deep/low.rs Low"],
            ),
            (
                "a path in code, from a module that was imported",
                &[
                    ("a.rs", "use crate::b::{self}; fn f() { b::g() }"),
                    ("b.rs", "pub fn g() {}"),
                ],
                &["a.rs b.rs g"],
            ),
            (
                "a module that is only declared",
                &[
                    ("a/mod.rs", "mod b; use self::b as c;"),
                    ("a/b.rs", "pub fn g() {}"),
                ],
                &[],
            ),
            (
                "a facade that needs its own modules",
                &[
                    ("a.rs", "mod b; fn f() -> b::B { b::g() }"),
                    ("a/b.rs", "pub struct B; pub fn g() {}"),
                ],
                &["a.rs a/b.rs B", "a.rs a/b.rs g"],
            ),
            (
                "what stands in the facade itself",
                &[
                    ("a/mod.rs", "pub struct A;"),
                    ("a/b.rs", "use super::A; fn f() -> super::super::c::C {}"),
                    ("c.rs", "pub struct C;"),
                ],
                &["a/b.rs a/mod.rs A", "a/b.rs c.rs C"],
            ),
            (
                "everything of a module",
                &[
                    ("a.rs", "use super::b::*; fn f() { g() }"),
                    ("b.rs", "pub fn g() {} pub fn h() {}"),
                ],
                &["a.rs b.rs g"],
            ),
            (
                "a module and a function of one name",
                &[
                    ("lib.rs", "mod x; pub use x::x;"),
                    ("x.rs", "pub fn x() {} pub struct Y;"),
                    ("a.rs", "use crate::x; use crate::x::Y; fn f() { x() }"),
                ],
                &["a.rs x.rs Y", "a.rs x.rs x"],
            ),
            (
                "tests do not count",
                &[
                    ("a.rs", "#[cfg(test)]\nmod tests { use crate::b::B; }"),
                    ("a/tests.rs", "use crate::b::B;"),
                    ("b.rs", "pub struct B;"),
                ],
                &[],
            ),
            (
                "inline modules are part of their file",
                &[
                    (
                        "a.rs",
                        "mod inner { use crate::b::B; pub struct I; } fn f() -> inner::I {}",
                    ),
                    ("b.rs", "pub struct B; use super::a::inner::I;"),
                ],
                &["a.rs b.rs B", "b.rs a.rs I"],
            ),
            (
                "names that stand for each other end",
                &[("a.rs", "pub use crate::b::X;"), ("b.rs", "pub use crate::a::X;")],
                &[],
            ),
        ] {
            assert_eq!(uses(files), expected, "{what}");
        }
    }

    #[test]
    fn what_is_handed_on_is_no_use() {
        let tree = tree(&[
            (
                "crates/a/src/lib.rs",
                "mod b; pub use b::B; pub mod c { pub use super::b::B; }",
            ),
            ("crates/a/src/b.rs", "pub struct B;"),
        ]);
        let files = Files::of(&tree, "crates/a");
        let lib = files
            .sources
            .iter()
            .position(|s| s.path.ends_with("lib.rs"))
            .unwrap();
        let names = |named: &Named| named.values().flatten().cloned().collect::<Vec<_>>();
        assert_eq!(names(&files.hands_on[lib]), ["B"]);
        // A module that is not around `b` uses it.
        assert_eq!(names(&files.uses[lib]), ["B"]);
    }
}
