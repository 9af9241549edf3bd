//! The byte alphabet of byte-level BPE (GPT-2): every byte is written as one printable character.
//!
//! Printable Latin-1 bytes stand for themselves; the other 68 follow from U+0100 on, in order. Vocabulary files use it so
//! that tokens which are not valid UTF-8 can be written as text.

use std::sync::LazyLock;

/// Bytes that stand for themselves.
fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

static CHARS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = '\u{100}'..;
    std::array::from_fn(|byte| match byte as u8 {
        byte if is_printable(byte) => char::from(byte),
        _ => next.next().unwrap_or_default(),
    })
});

/// Bytes of the characters U+0100.. that stand for unprintable bytes, in order.
static SHIFTED: LazyLock<Vec<u8>> = LazyLock::new(|| (0..=255).filter(|b| !is_printable(*b)).collect());

/// The characters that stand for `bytes`.
pub(crate) fn to_chars(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| CHARS[usize::from(*byte)]).collect()
}

/// The 256 characters as vocabularies list them: bytes that stand for themselves first.
pub(crate) fn in_order() -> Vec<char> {
    let (printable, shifted): (Vec<u8>, Vec<u8>) = (0..=255).partition(|byte| is_printable(*byte));
    let bytes = printable.into_iter().chain(shifted);
    bytes.map(|byte| CHARS[usize::from(byte)]).collect()
}

/// The byte that `character` stands for.
pub(crate) fn to_byte(character: char) -> Option<u8> {
    match u8::try_from(character) {
        Ok(byte) => is_printable(byte).then_some(byte),
        Err(_) => SHIFTED.get((character as usize).checked_sub(0x100)?).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_the_published_one() {
        for (byte, character) in [
            (b' ', 'Ġ'),
            (b'\n', 'Ċ'),
            (b'\t', 'ĉ'),
            (b'a', 'a'),
            (0, 'Ā'),
            (0xAD, 'Ń'),
        ] {
            assert_eq!(to_chars(&[byte]), character.to_string());
        }
        for byte in 0..=255 {
            let chars = to_chars(&[byte]);
            assert_eq!(chars.chars().map(to_byte).collect::<Vec<_>>(), [Some(byte)]);
        }
        for character in [' ', '\u{AD}', '\u{7F}', '\u{144}', '中'] {
            assert_eq!(to_byte(character), None, "{character:?}");
        }
    }
}
