//! The characters that are drawn and read, and how other characters are folded into them.

/// Typographic and technical characters beyond Latin-1.
const TYPOGRAPHIC: &str = "“”„‘’–—…•€™−→←↑↓‹›†‡‰ŒœŠšŽžŸ≤≥≠≈∞√✓";
/// Latin-1 signs; soft hyphen, spacing accents and ordinals, which look like other characters, are left out.
const SIGNS: &str = "¡¢£¥§©«¬®°±²³µ¶·¹»¼½¾¿×÷";

/// Printable ASCII, Latin-1 letters and signs, typographic characters: 216 in code-point order.
pub fn latin() -> Vec<char> {
    let letters = ('À'..='ÿ').filter(|c| c.is_alphabetic());
    let mut all: Vec<char> = (' '..='~')
        .chain(letters)
        .chain(SIGNS.chars())
        .chain(TYPOGRAPHIC.chars())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether Chinese is set with `c`: ideographs, their punctuation, full-width forms.
pub fn is_wide(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff01}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}')
}

/// Replaces characters that look the same as one of the charset by that one. `None` for what has no such twin.
///
/// A no-break space is a space and a no-break hyphen is a hyphen; a ligature is its letters.
pub fn fold(c: char) -> Option<&'static str> {
    Some(match c {
        '\t' | '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => " ",
        '\u{2010}' | '\u{2011}' | '\u{2043}' => "-",
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{2060}' => "",
        '\u{2012}' => "–",
        '\u{2015}' => "—",
        '\u{201a}' => ",",
        '\u{2032}' | '\u{2b9}' => "'",
        '\u{2033}' => "\"",
        '\u{3bc}' => "µ",
        '\u{2216}' | '\u{22c5}' | '\u{30fb}' => "·",
        '\u{301c}' => "～",
        '\u{2206}' => "Δ",
        '\u{25ba}' => "▶",
        '\u{2026}' => "…",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        _ => return None,
    })
}

/// Text folded into `charset` (which must be sorted): other characters are dropped, white space is single, and the
/// ends are trimmed.
pub fn filter(text: &str, charset: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut push = |c: char| {
        let space = c == ' ';
        if charset.binary_search(&c).is_ok() && !(space && (out.is_empty() || out.ends_with(' '))) {
            out.push(c);
        }
    };
    for c in text.chars() {
        match fold(c) {
            Some(twin) => twin.chars().for_each(&mut push),
            None => push(c),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charset_is_sorted_and_holds_no_twins() {
        let all = latin();
        assert_eq!(all.len(), 216);
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        for &c in &all {
            assert!(!is_wide(c), "{c:?}");
            assert!(
                matches!(fold(c), None | Some(" ")) || fold(c) == Some(c.to_string().as_str()),
                "{c:?} is folded"
            );
        }
    }

    #[test]
    fn text_is_folded_and_filtered() {
        let all = latin();
        for (text, expected) in [
            ("a\u{a0}b", "a b"),
            ("  x \t y  ", "x y"),
            ("non\u{2011}break", "non-break"),
            ("of\u{ad}fice", "office"),
            ("eﬃcient ﬁ", "efficient fi"),
            ("漢字 only", "only"),
            ("a 漢 b", "a b"),
            ("“quoted” – né", "“quoted” – né"),
            ("", ""),
            ("漢", ""),
        ] {
            assert_eq!(filter(text, &all), expected, "{text:?}");
        }
    }
}
