//! Rust code as words and marks: as much of its grammar as the rules about names need.

/// A piece of code. Code comes without comments and the contents of literals ([`super::source`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'c> {
    Word(&'c str),
    /// `::`
    Path,
    Mark(char),
}

pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let (mut tokens, mut rest) = (Vec::new(), code.trim_start());
    while let Some(first) = rest.chars().next() {
        let is_word = |char: char| char.is_alphanumeric() || char == '_';
        let length = match first {
            _ if is_word(first) => {
                let length = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
                tokens.push(Token::Word(&rest[..length]));
                length
            }
            _ if rest.starts_with("::") => {
                tokens.push(Token::Path);
                2
            }
            _ => {
                tokens.push(Token::Mark(first));
                first.len_utf8()
            }
        };
        rest = rest[length..].trim_start();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::Token::{Mark, Path, Word};
    use super::*;

    #[test]
    fn code_falls_into_words_and_marks() {
        for (code, expected) in [
            ("", vec![]),
            (
                "use a::b_2;",
                vec![Word("use"), Word("a"), Path, Word("b_2"), Mark(';')],
            ),
            ("x :y", vec![Word("x"), Mark(':'), Word("y")]),
            ("f(é)", vec![Word("f"), Mark('('), Word("é"), Mark(')')]),
            ("\"  \" → ", vec![Mark('"'), Mark('"'), Mark('→')]),
        ] {
            assert_eq!(tokens(code), expected, "{code}");
        }
    }
}
