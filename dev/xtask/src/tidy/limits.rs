//! A bound that no code reads bounds nothing.

use super::scopes::{Scope, scopes};
use super::source::{Source, Tree};
use super::tokens::{Token, tokens};

/// Where the bounds stand: constants, and fields of structs that carry the ones a caller may move.
const HOME: &str = "crates/ocellus-base/src/limits.rs";

pub fn failures(tree: &Tree) -> Vec<String> {
    let Some(home) = tree.sources.iter().find(|source| source.path == HOME) else {
        return Vec::new();
    };
    let others: Vec<&Source> = tree.shipped().filter(|source| source.path != HOME).collect();
    let scopes: Vec<Scope> = others.iter().flat_map(|source| scopes(source, 0)).collect();
    let is_named = |name: &String| {
        let mut paths = scopes.iter().flat_map(|scope| {
            let imported = scope.imports.iter().map(|import| &import.path);
            imported.chain(&scope.paths)
        });
        paths.any(|path| {
            path.windows(2)
                .any(|pair| pair[0] == "limits" && pair[1] == *name)
        })
    };
    let constants = constants(home)
        .into_iter()
        .filter(|name| !is_named(name) && !is_used_at_home(home, name));
    let codes: Vec<Vec<Token>> = others.iter().map(|source| tokens(&source.code)).collect();
    let is_read = |field: &str| {
        codes.iter().any(|code| {
            code.windows(2)
                .any(|pair| pair == [Token::Mark('.'), Token::Word(field)])
        })
    };
    let fields = fields(home).into_iter().filter(|field| !is_read(field));
    constants
        .chain(fields)
        .map(|name| format!("{HOME}: no code reads `{name}`"))
        .collect()
}

fn constants(home: &Source) -> Vec<String> {
    let own = scopes(home, 0).swap_remove(0);
    let is_constant = |name: &String| {
        name.chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    own.items.into_iter().filter(is_constant).collect()
}

/// Whether another bound or a default is made of a constant.
fn is_used_at_home(home: &Source, name: &str) -> bool {
    let words = tokens(&home.code);
    words.iter().filter(|token| **token == Token::Word(name)).count() > 1
}

/// The names in front of the colons of public fields.
fn fields(home: &Source) -> Vec<String> {
    let field = |three: &[Token<'_>]| match three {
        [Token::Word("pub"), Token::Word(name), Token::Mark(':')] => Some((*name).to_owned()),
        _ => None,
    };
    tokens(&home.code).windows(3).filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::tree;
    use super::*;

    #[test]
    fn each_bound_is_read_somewhere() {
        let home = "pub const A: u64 = 1; pub const B: u64 = 2 * A; pub const C: u64 = 3;
            pub struct Limits { pub side_px: u64, pub px: u64 }
            fn default() -> Limits { Limits { side_px: C, px: B } }";
        for (what, code, expected) in [
            ("all", "fn f(l: &Limits) { l.side_px + l.px }", &[][..]),
            ("a field", "fn f(l: &Limits) { l.px }", &["side_px"]),
            (
                "none but in a test",
                "#[cfg(test)]\nmod tests { fn f() { l.px + l.side_px } }",
                &["side_px", "px"],
            ),
        ] {
            let tree = tree(&[(HOME, home), ("crates/ocellus-media/src/a.rs", code)]);
            let expected: Vec<String> = expected
                .iter()
                .map(|n| format!("{HOME}: no code reads `{n}`"))
                .collect();
            assert_eq!(failures(&tree), expected, "{what}");
        }
        for code in [
            "f(limits::A)",
            "use ocellus_base::limits::{A, B};",
            "use limits::{self, A as C};",
        ] {
            let tree = tree(&[(HOME, "pub const A: u64 = 1;"), ("crates/b/src/a.rs", code)]);
            assert_eq!(failures(&tree), Vec::<String>::new(), "{code}");
        }
        let lonely = tree(&[
            (HOME, "pub const A: u64 = 1;"),
            ("crates/b/src/a.rs", "const A_B: u8 = 1; // A"),
        ]);
        assert_eq!(failures(&lonely), [format!("{HOME}: no code reads `A`")]);
    }
}
