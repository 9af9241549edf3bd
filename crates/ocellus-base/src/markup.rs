//! Text inside XML and HTML.

/// `text` as content or as an attribute in quotes. Characters that XML 1.0 forbids are left out, and the control characters
/// that it allows but HTML does not.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            '\u{fffe}' | '\u{ffff}' => {}
            other if other.is_control() => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup_and_nothing_is_forbidden() {
        for (text, expected) in [
            (
                "a <b> & \"c\" 'd'\n\té",
                "a &lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;\n\té",
            ),
            ("\u{1b}]0;x\u{7}y\u{0}\r", "]0;xy"),
            ("\u{7f}\u{9b}31m\u{fffe}\u{ffff}", "31m"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }
}
