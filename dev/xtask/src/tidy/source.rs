//! The source tree as the rules see it: which room a file belongs to, what kind of file it is, and its text with
//! comments, literals and test modules blanked out, line by line as in the file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// All Rust files and manifests under `crates/` and `dev/`.
pub struct Tree {
    pub root: PathBuf,
    pub sources: Vec<Source>,
    pub manifests: Vec<Manifest>,
}

/// One Rust file.
pub struct Source {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Folder of the crate, `crates/ocellus-nn`.
    pub room: String,
    pub kind: Kind,
    /// Without comments, test modules and the contents of literals.
    pub code: String,
    /// The same with test modules.
    pub whole: String,
    /// Without test modules; comments and literals kept.
    pub told: String,
}

/// One `Cargo.toml` of a crate.
pub struct Manifest {
    pub path: String,
    pub room: String,
    pub text: String,
}

/// Rules for what ships do not bind what only tests, measures or builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Shipped,
    Test,
    Bench,
    Example,
    Build,
}

impl Tree {
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self {
            root: root.to_path_buf(),
            sources: Vec::new(),
            manifests: Vec::new(),
        };
        let mut rooms = Vec::new();
        for group in ["crates", "dev"] {
            for entry in sorted(&root.join(group))? {
                if entry.join("Cargo.toml").exists() {
                    rooms.push(entry);
                }
            }
        }
        for room in rooms {
            let name = relative(root, &room);
            let manifest = room.join("Cargo.toml");
            let (path, text) = (relative(root, &manifest), fs::read_to_string(&manifest)?);
            tree.manifests.push(Manifest {
                path,
                room: name.clone(),
                text,
            });
            let mut folders = vec![room];
            while let Some(folder) = folders.pop() {
                for path in sorted(&folder)? {
                    if path.is_dir() {
                        folders.push(path);
                    } else if path.extension().is_some_and(|extension| extension == "rs") {
                        tree.sources.push(Source::new(
                            relative(root, &path),
                            &name,
                            fs::read_to_string(&path)?,
                        ));
                    }
                }
            }
        }
        tree.sources.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// Sources that become part of the product.
    pub fn shipped(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.kind == Kind::Shipped)
    }
}

impl Source {
    pub fn new(path: String, room: &str, text: String) -> Self {
        let inside = path.strip_prefix(room).unwrap_or(&path).trim_start_matches('/');
        let mut folders: Vec<&str> = inside.split('/').collect();
        let file = folders.pop().unwrap_or_default();
        let mut code = strip(&text);
        let mut told = text;
        let kind = if file == "tests.rs" || folders.contains(&"tests") || code.contains("#![cfg(test)]") {
            Kind::Test
        } else if folders.first() == Some(&"benches") {
            Kind::Bench
        } else if folders.first() == Some(&"examples") {
            Kind::Example
        } else if inside == "build.rs" {
            Kind::Build
        } else {
            Kind::Shipped
        };
        let whole = code.clone();
        blank_tests(&mut code, &mut told);
        Self {
            path,
            room: room.to_string(),
            kind,
            code,
            whole,
            told,
        }
    }
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn relative(root: &Path, path: &Path) -> String {
    let parts = path
        .strip_prefix(root)
        .unwrap_or(path)
        .iter()
        .map(|part| part.to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

/// What the scanner stands in.
enum State {
    Code,
    LineComment,
    /// Depth of nesting.
    BlockComment(usize),
    /// Raw strings end with a quote and this many hashes; ordinary ones have `None`.
    Text(Option<usize>),
}

/// `text` without comments and the contents of literals. Blanked characters become spaces, so lines and columns
/// stay.
fn strip(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::new();
    let mut state = State::Code;
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        // (characters taken, whether they are code, what comes next)
        let (taken, is_code, next) = match state {
            State::Code => code_step(rest, at.checked_sub(1).map(|before| chars[before])),
            State::LineComment if rest[0] == '\n' => (1, false, State::Code),
            State::LineComment => (1, false, State::LineComment),
            State::BlockComment(depth) => match rest {
                ['*', '/', ..] if depth == 1 => (2, false, State::Code),
                ['*', '/', ..] => (2, false, State::BlockComment(depth - 1)),
                ['/', '*', ..] => (2, false, State::BlockComment(depth + 1)),
                _ => (1, false, State::BlockComment(depth)),
            },
            State::Text(raw) => text_step(rest, raw),
        };
        let taken = taken.min(rest.len());
        for &char in &rest[..taken] {
            code.push(if is_code || char == '\n' { char } else { ' ' });
        }
        at += taken;
        state = next;
    }
    code
}

fn code_step(rest: &[char], before: Option<char>) -> (usize, bool, State) {
    match rest {
        ['/', '/', ..] => (2, false, State::LineComment),
        ['/', '*', ..] => (2, false, State::BlockComment(1)),
        ['"', ..] => (1, true, State::Text(None)),
        ['\'', '\\', ..] => {
            let end = rest.iter().skip(3).position(|&char| char == '\'');
            (end.map_or(rest.len(), |end| end + 4), false, State::Code)
        }
        ['\'', _, '\'', ..] => (3, false, State::Code),
        ['r', '"' | '#', ..]
            if !before.is_some_and(|b| b.is_alphanumeric() && b != 'b' && b != 'c' || b == '_') =>
        {
            let hashes = rest[1..].iter().take_while(|&&char| char == '#').count();
            match rest.get(1 + hashes) {
                Some('"') => (2 + hashes, true, State::Text(Some(hashes))),
                // A raw identifier.
                _ => (1, true, State::Code),
            }
        }
        _ => (1, true, State::Code),
    }
}

fn text_step(rest: &[char], raw: Option<usize>) -> (usize, bool, State) {
    let hashes = raw.unwrap_or(0);
    match rest {
        ['\\', _, ..] if raw.is_none() => (2, false, State::Text(raw)),
        ['"', tail @ ..] if tail.len() >= hashes && tail[..hashes].iter().all(|&char| char == '#') => {
            (1 + hashes, true, State::Code)
        }
        _ => (1, false, State::Text(raw)),
    }
}

/// Blanks every item under `#[cfg(test)]` in both texts, which have the same characters at the same places.
fn blank_tests(code: &mut String, told: &mut String) {
    const MARK: &str = "#[cfg(test)]";
    let mut chars: Vec<char> = code.chars().collect();
    let mut told_chars: Vec<char> = told.chars().collect();
    let mark: Vec<char> = MARK.chars().collect();
    let mut at = 0;
    while at + mark.len() <= chars.len() {
        if chars[at..at + mark.len()] != mark[..] {
            at += 1;
            continue;
        }
        let end = item_end(&chars, at + mark.len());
        for text in [&mut chars, &mut told_chars] {
            text[at..end]
                .iter_mut()
                .filter(|char| **char != '\n')
                .for_each(|char| *char = ' ');
        }
        at = end;
    }
    *code = chars.into_iter().collect();
    *told = told_chars.into_iter().collect();
}

/// One past the item that starts at `from`: its closing brace, or the semicolon of an item without a body.
fn item_end(chars: &[char], from: usize) -> usize {
    let (mut braces, mut brackets) = (0usize, 0usize);
    for (at, char) in chars.iter().enumerate().skip(from) {
        match char {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            '{' => braces += 1,
            '}' if braces <= 1 => return at + 1,
            '}' => braces -= 1,
            ';' if braces == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    chars.len()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A made-up tree: `(path, text)`; the room is the first two folders.
    pub fn tree(files: &[(&str, &str)]) -> Tree {
        let room = |path: &str| path.split('/').take(2).collect::<Vec<_>>().join("/");
        let mut tree = Tree {
            root: PathBuf::from("/nonexistent"),
            sources: Vec::new(),
            manifests: Vec::new(),
        };
        for (path, text) in files {
            if path.ends_with("Cargo.toml") {
                let manifest = Manifest {
                    path: path.to_string(),
                    room: room(path),
                    text: text.to_string(),
                };
                tree.manifests.push(manifest);
            } else {
                tree.sources
                    .push(Source::new(path.to_string(), &room(path), text.to_string()));
            }
        }
        tree
    }

    fn source(text: &str) -> Source {
        Source::new("crates/a/src/lib.rs".into(), "crates/a", text.into())
    }

    #[test]
    fn comments_and_literals_are_told_from_code() {
        let table = [
            ("let word = 1;", true),
            ("// word", false),
            ("/// word", false),
            ("/* a /* b */ word */ let x;", false),
            ("/* a */ word", true),
            (r#"let x = "word";"#, false),
            (r#"let x = "a\"word";"#, false),
            (r#"let x = "\\"; word"#, true),
            (r##"let x = r"\"; word"##, true),
            (r###"let x = r#"a " word"#;"###, false),
            (r###"let x = br#"a"#; word"###, true),
            (r#"let x = "// not a comment"; word"#, true),
            ("let x = '\"'; word; // \"", true),
            ("let x = '\\''; word", true),
            ("let x = '\\u{41}'; word", true),
            ("fn f<'a>(x: &'a str) { word }", true),
            ("let r#type = word;", true),
            ("let for\"\"; word", true),
        ];
        for (text, is_code) in table {
            let source = source(text);
            assert_eq!(source.code.contains("word"), is_code, "{text}\n{}", source.code);
            assert_eq!(source.code.chars().count(), text.chars().count(), "{text}");
            assert_eq!(source.told, text);
        }
    }

    #[test]
    fn test_items_are_blanked_and_the_rest_is_not() {
        let text = "#[cfg(test)]\nmod tests;\nfn kept() {}\n\
                    #[cfg(test)]\nmod inner { fn f() -> [u8; 2] { gone } /* gone */ }\nfn also() { \"é\" }";
        let Source { code, told, .. } = source(text);
        for view in [&code, &told] {
            assert!(view.contains("kept") && view.contains("also"), "{view}");
            assert!(!view.contains("gone") && !view.contains("tests"), "{view}");
            assert_eq!(view.lines().count(), text.lines().count());
        }
        assert!(told.contains('é') && !code.contains('é'));
    }

    #[test]
    fn kinds_follow_the_path() {
        let table = [
            ("crates/a/src/lib.rs", Kind::Shipped),
            ("crates/a/src/deep/tests.rs", Kind::Test),
            ("crates/a/tests/x.rs", Kind::Test),
            ("crates/a/src/x/tests/y.rs", Kind::Test),
            ("crates/a/benches/x.rs", Kind::Bench),
            ("crates/a/examples/x.rs", Kind::Example),
            ("crates/a/src/examples/x.rs", Kind::Shipped),
            ("crates/a/build.rs", Kind::Build),
        ];
        for (path, kind) in table {
            assert_eq!(
                Source::new(path.into(), "crates/a", String::new()).kind,
                kind,
                "{path}"
            );
        }
    }
}
