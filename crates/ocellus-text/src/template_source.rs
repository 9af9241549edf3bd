//! What is done to a template's source before the engine compiles it.

use crate::{Result, TextError};

/// Most words, numbers and signs in one `{{ … }}` or `{% … %}`. The engine folds constants in time that grows with the square
/// of an expression's length; published templates stay below 200.
const MAX_TAG_TOKENS: usize = 1000;

/// Refuses a template with an expression that is too long.
pub(crate) fn check_tags(source: &str) -> Result<()> {
    let bytes = source.as_bytes();
    let mut at = 0;
    while let Some(open) = bytes
        .get(at..)
        .and_then(|rest| rest.windows(2).position(is_opening))
    {
        let start = at + open;
        if bytes[start + 1] == b'#' {
            let Some(close) = source[start..].find("#}") else {
                break;
            };
            at = start + close + 2;
            continue;
        }
        let (tokens, end) = scan_tag(bytes, start + 2);
        if tokens > MAX_TAG_TOKENS {
            let line = 1 + bytes[..start].iter().filter(|b| **b == b'\n').count();
            let reason =
                format!("one tag has {tokens} parts, more than the {MAX_TAG_TOKENS} that are accepted");
            return Err(TextError::TemplateSyntax {
                line: Some(line),
                reason,
            });
        }
        at = end;
    }
    Ok(())
}

fn is_opening(pair: &[u8]) -> bool {
    matches!(pair, b"{{" | b"{%" | b"{#")
}

/// Counts the tokens of a tag from `at`, behind its opening, to its end; a string is one, white space none.
fn scan_tag(bytes: &[u8], mut at: usize) -> (usize, usize) {
    let (mut tokens, mut braces) = (0, 0usize);
    while let Some(byte) = bytes.get(at) {
        let next = bytes.get(at + 1);
        match byte {
            b'}' | b'%' if braces == 0 && next == Some(&b'}') => return (tokens, at + 2),
            b'{' => braces += 1,
            b'}' => braces = braces.saturating_sub(1),
            b'\'' | b'"' => at = string_end(bytes, at),
            _ => {}
        }
        let in_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || !b.is_ascii();
        let word_goes_on = in_word(byte) && next.is_some_and(in_word);
        if !byte.is_ascii_whitespace() && !word_goes_on {
            tokens += 1;
        }
        at += 1;
    }
    (tokens, bytes.len())
}

/// Where the string that opens at `at` closes, or the end of the source.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    let mut inside = at + 1;
    while let Some(byte) = bytes.get(inside) {
        match byte {
            b'\\' => inside += 1,
            other if *other == quote => return inside,
            _ => {}
        }
        inside += 1;
    }
    bytes.len()
}

/// `{% generation %}` and `{% endgeneration %}` mark the assistant's part for training tools and change no text: they are
/// replaced by a condition that always holds.
pub(crate) fn without_generation_marks(source: &str) -> String {
    let mut result = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        result.push_str(before);
        // Behind the opening: `{%}` closes nothing.
        let Some(end) = tag[2..].find("%}").map(|end| end + 2) else {
            rest = tag;
            break;
        };
        let (tag, after) = tag.split_at(end + 2);
        let inner = &tag[2..end];
        let name = inner.trim_matches(['-', '+']).trim();
        let replacement = match name {
            "generation" => "if true",
            "endgeneration" => "endif",
            other => other,
        };
        if replacement == name {
            result.push_str(tag);
        } else {
            result.push_str(&tag.replace(name, replacement));
        }
        rest = after;
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_are_not_closed_stay() {
        for source in ["{%}", "{%}{% generation %}", "a {% b", "{%", "{%%}", "{%-%}"] {
            let _ = without_generation_marks(source);
        }
        assert_eq!(without_generation_marks("x{%} %}y"), "x{%} %}y");
        assert_eq!(without_generation_marks("{%- generation -%}"), "{%- if true -%}");
    }

    #[test]
    fn tokens_of_a_tag() {
        for (tag, tokens) in [
            ("}}", 0),
            (" a + 12 }}", 3),
            ("'x }} y' ~ \"it's\" }}", 3),
            ("{'a': {'b': 1}} }} c d e f", 9),
            ("'\\'}}' }} x", 1),
            ("- if größer %}", 3),
            ("never closed", 2),
            ("'never closed }}", 1),
        ] {
            assert_eq!(scan_tag(tag.as_bytes(), 0).0, tokens, "{tag}");
        }
    }

    #[test]
    fn long_tags_are_refused_wherever_they_stand() {
        let long = |before: &str| format!("{before}{{{{ 1{} }}}}", "~1".repeat(MAX_TAG_TOKENS));
        for before in [
            "",
            "text {",
            "{# {{ #}",
            "{{ {'a': {}} }}",
            "{{ '}}' }}\n",
            "{% if 1 %}",
        ] {
            let error = check_tags(&long(before)).unwrap_err();
            assert!(
                matches!(
                    error,
                    TextError::TemplateSyntax {
                        line: Some(1 | 2),
                        ..
                    }
                ),
                "{before}: {error}"
            );
        }
        for fine in [
            "",
            "{",
            "{{",
            "{%",
            "{#",
            "{# {{ ~~~ #}",
            "{{ '",
            &"{{ a }}".repeat(5000),
            &"a b".repeat(5000),
        ] {
            check_tags(fine).unwrap();
        }
    }

    #[test]
    fn generation_marks_become_a_condition() {
        for (source, expected) in [
            (
                "a{% generation %}b{%- endgeneration -%}c",
                "a{% if true %}b{%- endif -%}c",
            ),
            (
                "{% if generation %}{{ generation }}",
                "{% if generation %}{{ generation }}",
            ),
            ("open {% generation", "open {% generation"),
            ("", ""),
        ] {
            assert_eq!(without_generation_marks(source), expected);
        }
    }
}
