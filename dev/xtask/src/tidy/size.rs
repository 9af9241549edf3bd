//! What has outgrown its room: places to look at, not a verdict.

use std::collections::HashSet;

use super::source::{Source, Tree};

const FILE_LINES: usize = 500;
const FAMILY_LINES: usize = 300;
const FUNCTION_LINES: usize = 70;
/// Two files share much when this part of the smaller one's windows stands in the other, and at least this many.
const SHARED_PART: f64 = 0.3;
const SHARED_WINDOWS: usize = 20;
/// Lines in a window: fewer would find idioms, more would miss copies with small edits.
const WINDOW: usize = 4;

pub fn notes(tree: &Tree) -> Vec<String> {
    let mut notes = Vec::new();
    for source in &tree.sources {
        let path = &source.path;
        let is_family = path.starts_with("crates/ocellus-models/src/families/") && !path.contains("/tests");
        let limit = if is_family { FAMILY_LINES } else { FILE_LINES };
        // A test module at the end does not make a family file hard to read.
        let lines = source.told.trim_end().lines().count();
        if lines > limit {
            notes.push(format!("{path}: {lines} lines (over {limit})"));
        }
        for (line, name, length) in functions(&source.code) {
            if length > FUNCTION_LINES {
                notes.push(format!(
                    "{path}:{line}: fn {name} has {length} lines (over {FUNCTION_LINES})"
                ));
            }
        }
    }
    notes.extend(pairs(&tree.sources));
    notes
}

/// `(line, name, lines)` of every function with a body.
fn functions(code: &str) -> Vec<(usize, &str, usize)> {
    let mut functions = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if code[..at]
            .chars()
            .next_back()
            .is_some_and(|char| char.is_alphanumeric() || char == '_')
        {
            continue;
        }
        let name = code[at + 3..]
            .split(|char: char| !char.is_alphanumeric() && char != '_')
            .next();
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            continue;
        };
        if let Some(body) = body(&code[at..]) {
            let line = code[..at].matches('\n').count() + 1;
            functions.push((line, name, body.trim().lines().count()));
        }
    }
    functions
}

/// The text from `fn` to the closing brace; `None` for a declaration.
fn body(code: &str) -> Option<&str> {
    let (mut braces, mut brackets) = (0usize, 0usize);
    for (at, char) in code.char_indices() {
        match char {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' if braces == 1 => return Some(&code[..=at]),
            '}' => braces = braces.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Pairs of files that have much text in common.
fn pairs(sources: &[Source]) -> Vec<String> {
    let windows: Vec<HashSet<String>> = sources.iter().map(|source| windows(&source.code)).collect();
    let mut notes = Vec::new();
    for (one, first) in windows.iter().enumerate() {
        for (other, second) in windows.iter().enumerate().skip(one + 1) {
            let shared = first.intersection(second).count();
            let part = shared as f64 / first.len().min(second.len()).max(1) as f64;
            if shared >= SHARED_WINDOWS && part >= SHARED_PART {
                let (one, other) = (&sources[one].path, &sources[other].path);
                notes.push(format!(
                    "{one} and {other} share {:.0} % of the smaller",
                    100.0 * part
                ));
            }
        }
    }
    notes
}

/// Every run of [`WINDOW`] lines, without white space and without lines that say little.
fn windows(code: &str) -> HashSet<String> {
    let squeeze = |line: &str| line.split_whitespace().collect::<String>();
    let lines: Vec<String> = code.lines().map(squeeze).filter(|line| line.len() > 3).collect();
    lines.windows(WINDOW).map(|window| window.join("\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::tree;
    use super::*;

    #[test]
    fn long_functions_are_found_with_their_line() {
        let code = format!(
            "fn short() {{}}\nfn declared(a: [u8; 2]);\n\nfn long() {{\n{}}}\n",
            "x();\n".repeat(80)
        );
        assert_eq!(functions(&code), [(1, "short", 1), (4, "long", 82)]);
        let notes = notes(&tree(&[("crates/a/src/a.rs", &code)]));
        assert_eq!(notes, ["crates/a/src/a.rs:4: fn long has 82 lines (over 70)"]);
    }

    #[test]
    fn long_files_are_found() {
        for (path, lines, count) in [
            ("crates/a/src/a.rs", 501, 1),
            ("crates/a/src/a.rs", 500, 0),
            ("crates/ocellus-models/src/families/a.rs", 301, 1),
            ("crates/ocellus-models/src/families/a.rs", 300, 0),
        ] {
            assert_eq!(
                notes(&tree(&[(path, &"x\n".repeat(lines))])).len(),
                count,
                "{path} {lines}"
            );
        }
    }

    #[test]
    fn copies_are_found_whatever_their_layout() {
        let body = |from: usize| {
            (from..from + 60)
                .map(|i| format!("let value_{i} = {i};\n"))
                .collect::<String>()
        };
        let same = body(0);
        let indented = body(0).replace("let", "    let");
        let files = [
            ("crates/a/src/a.rs", same),
            ("crates/b/src/b.rs", indented),
            ("crates/c/src/c.rs", body(100)),
        ];
        let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
        assert_eq!(
            notes(&tree(&files)),
            ["crates/a/src/a.rs and crates/b/src/b.rs share 100 % of the smaller"]
        );
    }
}
