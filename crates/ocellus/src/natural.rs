//! The order in which people expect numbered files: `a2` before `a10`.

use std::cmp::Ordering;
use std::path::Path;

/// Compares paths part by part, with runs of digits as numbers; equal numbers by their leading zeros, so that the order is total.
pub fn compare(a: &Path, b: &Path) -> Ordering {
    let parts = |path: &Path| -> Vec<String> {
        let parts = path.components();
        parts
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect()
    };
    let (a_parts, b_parts) = (parts(a), parts(b));
    let mut pairs = a_parts.iter().zip(&b_parts);
    let first = pairs.find_map(|(a, b)| Some(names(a, b)).filter(|order| order.is_ne()));
    first
        .unwrap_or_else(|| a_parts.len().cmp(&b_parts.len()))
        .then_with(|| a.cmp(b))
}

fn names(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let (a_digits, b_digits) = (digits(a), digits(b));
        let (a_start, b_start, order);
        if a_digits > 0 && b_digits > 0 {
            (a_start, b_start) = (a_digits, b_digits);
            let number = |text: &str, length: usize| text[..length].trim_start_matches('0').to_owned();
            let (x, y) = (number(a, a_digits), number(b, b_digits));
            order = x.len().cmp(&y.len()).then_with(|| x.cmp(&y));
        } else {
            let (x, y) = (a.chars().next(), b.chars().next());
            (a_start, b_start) = (x.map_or(0, char::len_utf8), y.map_or(0, char::len_utf8));
            order = x.cmp(&y);
        }
        if order.is_ne() || a_start == 0 {
            return order;
        }
        (a, b) = (&a[a_start..], &b[b_start..]);
    }
}

/// Bytes of the digits that a text begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        let ordered = [
            "a",
            "a/b",
            "a1.png",
            "a2.png",
            "a02.png",
            "a10.png",
            "a10b.png",
            "a99999999999999999999.png",
            "b1",
            "b1/c2",
            "b1/c10",
            "é1",
        ];
        let sorted = |mut paths: Vec<&'static str>| {
            paths.sort_by(|a, b| compare(Path::new(a), Path::new(b)));
            paths
        };
        let mut reversed = ordered.to_vec();
        reversed.reverse();
        let found = sorted(reversed);
        let at = |name: &str| found.iter().position(|found| *found == name).unwrap();
        assert!(at("a2.png") < at("a10.png") && at("a1.png") < at("a02.png") && at("a") < at("a/b"));
        assert!(at("b1/c2") < at("b1/c10") && at("a10.png") < at("a99999999999999999999.png"));
        assert_eq!(found, sorted(found.clone()), "one order, whatever it begins with");
    }
}
