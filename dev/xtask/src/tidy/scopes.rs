//! What the modules of a crate define, import and name.

use std::collections::BTreeSet;

use super::source::Source;
use super::tokens::{Token, tokens};

/// A module: a file, or an inline module in one.
#[derive(Debug, Default)]
pub struct Scope {
    /// Names from the root of the crate down.
    pub module: Vec<String>,
    /// Place of the file among those that were read.
    pub file: usize,
    /// Names that are defined here.
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// Paths of two or more names that stand in the code.
    pub paths: Vec<Vec<String>>,
    /// Every word of the code, macros with their `!`.
    pub words: BTreeSet<String>,
}

/// One name that a `use` brings into a module.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    pub path: Vec<String>,
    /// What it is called here; `*` for everything in `path`.
    pub name: String,
    /// Others may import it from here.
    pub public: bool,
}

/// The scopes of a file: its own first, then those of inline modules.
pub fn scopes(source: &Source, file: usize) -> Vec<Scope> {
    let tokens = tokens(&source.code);
    let mut scopes = vec![Scope {
        module: module(source),
        file,
        ..Scope::default()
    }];
    // Inline modules that are open, each with the depth of braces outside it.
    let (mut open, mut depth, mut at) = (vec![(0, 0)], 0usize, 0);
    while at < tokens.len() {
        let (current, outside) = open[open.len() - 1];
        let at_top = depth == outside + usize::from(open.len() > 1);
        let mut next = at + 1;
        match (tokens[at], tokens.get(at + 1), tokens.get(at + 2)) {
            (Token::Mark('{'), _, _) => depth += 1,
            (Token::Mark('}'), _, _) => {
                depth = depth.saturating_sub(1);
                if open.len() > 1 && depth == outside {
                    open.pop();
                }
            }
            (Token::Word("mod"), Some(Token::Word(name)), Some(Token::Mark('{'))) => {
                let module = [&scopes[current].module[..], &[(*name).to_owned()]].concat();
                open.push((scopes.len(), depth));
                scopes.push(Scope {
                    module,
                    file,
                    ..Scope::default()
                });
                (depth, next) = (depth + 1, at + 3);
            }
            (Token::Word("use"), _, _) => {
                let public = at > 0 && matches!(tokens[at - 1], Token::Word("pub") | Token::Mark(')'));
                let mut tree = Tree {
                    tokens: &tokens,
                    at: at + 1,
                    public,
                    imports: &mut scopes[current].imports,
                };
                tree.read(&[]);
                next = tree.at.max(at + 1);
            }
            (Token::Word("macro_rules"), _, Some(Token::Word(_))) => {}
            (Token::Word(kind), Some(Token::Word(name)), _) if at_top && defines(kind) => {
                scopes[current].items.insert((*name).to_owned());
            }
            (Token::Word(first), Some(Token::Path), _) if starts_path(&tokens, at) => {
                let mut path = vec![first.to_owned()];
                while let (Some(Token::Path), Some(Token::Word(name))) =
                    (tokens.get(next), tokens.get(next + 1))
                {
                    path.push((*name).to_owned());
                    next += 2;
                }
                scopes[current].paths.push(path);
            }
            _ => {}
        }
        for token in &tokens[at..next.min(tokens.len())] {
            if let Token::Word(word) = token {
                scopes[current].words.insert((*word).to_owned());
            }
        }
        at = next;
    }
    scopes
}

/// Keywords that a name of an item follows.
fn defines(word: &str) -> bool {
    [
        "fn", "struct", "enum", "trait", "type", "const", "static", "union",
    ]
    .contains(&word)
}

/// Whether the word at `at` is the first of a path.
fn starts_path(tokens: &[Token], at: usize) -> bool {
    at == 0 || !matches!(tokens[at - 1], Token::Path | Token::Mark('.'))
}

/// The module that a file is.
fn module(source: &Source) -> Vec<String> {
    let inside = source.path.strip_prefix(&source.room).unwrap_or(&source.path);
    let inside = inside.trim_start_matches("/src/").trim_end_matches(".rs");
    let mut names: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if names
        .last()
        .is_some_and(|name| ["lib", "main", "mod"].contains(&name.as_str()))
    {
        names.pop();
    }
    names
}

/// Reads the tree of a `use`.
struct Tree<'t, 'c> {
    tokens: &'t [Token<'c>],
    at: usize,
    public: bool,
    imports: &'t mut Vec<Import>,
}

impl Tree<'_, '_> {
    /// One branch below `above`, up to the comma or bracket behind it.
    fn read(&mut self, above: &[String]) {
        let mut path = above.to_vec();
        loop {
            match self.tokens.get(self.at) {
                Some(Token::Path) => {}
                Some(Token::Word("as")) => {
                    if let Some(Token::Word(name)) = self.tokens.get(self.at + 1) {
                        let name = (*name).to_owned();
                        self.at += 2;
                        return self.bring(path, name);
                    }
                }
                Some(Token::Word("self")) if !path.is_empty() => {}
                Some(Token::Word(name)) => path.push((*name).to_owned()),
                Some(Token::Mark('*')) => {
                    self.at += 1;
                    return self.bring(path, "*".to_owned());
                }
                Some(Token::Mark('{')) => {
                    self.at += 1;
                    while !matches!(self.tokens.get(self.at), None | Some(Token::Mark('}'))) {
                        self.read(&path);
                        if self.tokens.get(self.at) == Some(&Token::Mark(',')) {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                _ => {
                    let name = path.last().cloned().unwrap_or_default();
                    return self.bring(path, name);
                }
            }
            self.at += 1;
        }
    }

    fn bring(&mut self, path: Vec<String>, name: String) {
        let public = self.public;
        self.imports.push(Import { path, name, public });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, text: &str) -> Vec<Scope> {
        scopes(&Source::new(path.into(), "crates/a", text.into()), 0)
    }

    fn names(text: &str) -> Vec<String> {
        let scope = &read("crates/a/src/x.rs", text)[0];
        let name = |import: &Import| {
            let mark = if import.public { "+" } else { "" };
            format!("{mark}{}={}", import.name, import.path.join("::"))
        };
        scope.imports.iter().map(name).collect()
    }

    #[test]
    fn a_use_brings_the_names_of_its_tree() {
        for (text, expected) in [
            ("use a::b;", vec!["b=a::b"]),
            ("use a::b as c;", vec!["c=a::b"]),
            (
                "pub use a::{b, c::{self, D as E}, f::*,};",
                vec!["+b=a::b", "+c=a::c", "+E=a::c::D", "+*=a::f"],
            ),
            ("pub(crate) use self::a::B;", vec!["+B=self::a::B"]),
            ("fn f() { use super::a::B; }", vec!["B=super::a::B"]),
            ("use {a::b, ::c::d};", vec!["b=a::b", "d=c::d"]),
            ("#[cfg(test)]\nuse a::b;", vec![]),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    #[test]
    fn items_and_paths_belong_to_their_module() {
        let text = "pub const A: u8 = 1; struct B { c: u8 } impl B { fn inner() { crate::d::E::f(x::y(), self.z::<u8>()) } }
            mod g { pub fn h() -> super::B { super::i::j() } } pub(super) const fn k() {} use m::n;";
        let scopes = read("crates/a/src/x/mod.rs", text);
        let items: Vec<Vec<&str>> = (scopes.iter())
            .map(|s| s.items.iter().map(String::as_str).collect())
            .collect();
        assert_eq!(items, [vec!["A", "B", "fn", "k"], vec!["h"]]);
        assert_eq!(
            (&scopes[0].module[..], &scopes[1].module[..]),
            (&["x".to_owned()][..], &["x".to_owned(), "g".to_owned()][..])
        );
        let paths = |s: &Scope| s.paths.iter().map(|p| p.join("::")).collect::<Vec<_>>();
        assert_eq!(paths(&scopes[0]), ["crate::d::E::f", "x::y"]);
        assert_eq!(paths(&scopes[1]), ["super::B", "super::i::j"]);
        assert_eq!(scopes[0].imports.len(), 1);
    }

    #[test]
    fn modules_follow_the_path() {
        for (path, expected) in [
            ("crates/a/src/lib.rs", ""),
            ("crates/a/src/b.rs", "b"),
            ("crates/a/src/b/mod.rs", "b"),
            ("crates/a/src/b/c.rs", "b::c"),
        ] {
            assert_eq!(read(path, "")[0].module.join("::"), expected, "{path}");
        }
    }
}
