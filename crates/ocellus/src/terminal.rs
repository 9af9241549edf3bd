//! Text that others wrote, as it may be printed: models, files, servers and users can put characters in it that a terminal
//! obeys instead of showing.

/// `text` with every character that a terminal would obey written as `\u001b`, but for ends of lines and of pages, and tabs.
/// JSON stays the same value: outside of its strings there are no such characters, and inside they may be written so.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' | '\u{c}' => out.push(character),
            other if is_obeyed(other) => out.push_str(&format!("\\u{:04x}", u32::from(other))),
            other => out.push(other),
        }
    }
    out
}

/// `text` as a part of one line: a space for every such character, ends of lines and tabs too.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { ' ' } else { c }).collect()
}

/// Control characters (C0, DEL, C1), and what changes the order in which characters stand.
fn is_obeyed(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        for (text, shown, in_one_line) in [
            ("a\tb\nc é 漢", "a\tb\nc é 漢", "a b c é 漢"),
            ("\u{1b}]0;x\u{7}", "\\u001b]0;x\\u0007", " ]0;x "),
            ("\u{9b}31m\u{7f}\r", "\\u009b31m\\u007f\\u000d", " 31m  "),
            (
                "\u{202e}gpj\u{2066}\u{200f}",
                "\\u202egpj\\u2066\u{200f}",
                " gpj \u{200f}",
            ),
        ] {
            assert_eq!(visible(text), shown);
            assert_eq!(one_line(text), in_one_line);
        }
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"\u{9b}\u{7f}": "\u{1b}[31m \\ \u{202e} \n\u{c}\""});
        for text in [value.to_string(), format!("{value:#}")] {
            let found: serde_json::Value = serde_json::from_str(&visible(&text)).unwrap();
            assert_eq!(found, value);
            assert!(!visible(&text).contains(['\u{9b}', '\u{7f}', '\u{202e}']));
        }
    }
}
