//! The compiled rules that rewrite characters: a double-array trie over bytes, then the replacements.
//!
//! The walk over the trie that is used trusts it; this one does not, and goes everywhere that walk could go.

/// Bytes that a rule may write for what it replaces. Those of Unicode's compatibility forms write 33 at most.
const MOST_REPLACEMENT_BYTES: usize = 256;

/// Whether every walk over the trie of `charsmap` stays inside it and ends at the start of a replacement.
pub(crate) fn check(charsmap: &[u8]) -> Result<(), String> {
    let (size, rest) = charsmap.split_first_chunk::<4>().ok_or("no length")?;
    let size = u32::from_le_bytes(*size) as usize;
    let (trie, replacements) = rest
        .split_at_checked(size)
        .ok_or_else(|| format!("a trie of {size} bytes in {} bytes", rest.len()))?;
    if !size.is_multiple_of(4) {
        return Err(format!("a trie of {size} bytes"));
    }
    let replacements = std::str::from_utf8(replacements).map_err(|e| e.to_string())?;
    let units: Vec<usize> = trie
        .chunks_exact(4)
        .map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]) as usize)
        .collect();
    let unit = |place: usize| {
        units
            .get(place)
            .copied()
            .ok_or_else(|| format!("the trie leads to place {place} of {}", units.len()))
    };
    let mut seen = vec![false; units.len()];
    let mut nodes = vec![offset(unit(0)?)];
    while let Some(node) = nodes.pop() {
        for byte in 1..=255 {
            let place = node ^ byte;
            let found = unit(place)?;
            if label(found) != byte || std::mem::replace(&mut seen[place], true) {
                continue;
            }
            let next = place ^ offset(found);
            if has_leaf(found) {
                let start = unit(next)? & ((1 << 31) - 1);
                let replacement = replacements
                    .get(start..)
                    .ok_or_else(|| format!("a rule leads to byte {start} of the replacements"))?;
                let length = replacement.find('\0').unwrap_or(replacement.len());
                if length > MOST_REPLACEMENT_BYTES {
                    return Err(format!("a rule writes {length} bytes for a character"));
                }
            }
            nodes.push(next);
        }
    }
    Ok(())
}

/// Whether a key ends behind this unit.
fn has_leaf(unit: usize) -> bool {
    (unit >> 8) & 1 == 1
}

/// The byte that leads here; more than a byte where none does.
fn label(unit: usize) -> usize {
    unit & ((1 << 31) | 0xFF)
}

/// Distance to the children, by exclusive or.
fn offset(unit: usize) -> usize {
    (unit >> 10) << ((unit & (1 << 9)) >> 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(units: &[u32], replacements: &[u8]) -> Vec<u8> {
        let mut bytes = (units.len() as u32 * 4).to_le_bytes().to_vec();
        bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        bytes.extend(replacements);
        bytes
    }

    /// A root whose children are the next 256 places, with the key "a" that leads to `start`.
    fn one_rule(start: u32) -> Vec<u32> {
        let mut units = vec![1 << 31; 512];
        units[0] = 256 << 10;
        units[256 + usize::from(b'a')] = u32::from(b'a') | 1 << 8 | (u32::from(b'a') ^ 1) << 10;
        units[256 + 1] = 1 << 31 | start;
        units
    }

    #[test]
    fn rules_inside_the_map_pass() {
        check(&map(&one_rule(0), b"b\0")).unwrap();
        check(&map(&one_rule(2), b"b\0")).unwrap();
    }

    #[test]
    fn walks_that_leave_the_map_are_found() {
        for (bytes, expected) in [
            (vec![], "no length"),
            (vec![8, 0, 0, 0, 1], "a trie of 8 bytes in 1 bytes"),
            (map(&[], b""), "place 0 of 0"),
            (map(&[1 << 10], b""), "of 1"),
            (map(&one_rule(3), b"b\0"), "byte 3 of the replacements"),
            (map(&one_rule(1), "é\0".as_bytes()), "byte 1"),
            (map(&one_rule(0), b"\xFF"), "utf-8"),
            (map(&one_rule(0), &[b'x'; 300]), "writes 300 bytes"),
        ] {
            let error = check(&bytes).expect_err(expected);
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
