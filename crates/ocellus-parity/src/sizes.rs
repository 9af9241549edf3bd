//! Tables of target sizes: `options.rules` states each column's rule in words, with its numbers.

use ocellus_media::size_rules::{fit_longer_side, fit_shorter_side, token_grid};
use ocellus_media::smart_resize;

use crate::array::Array;
use crate::case::Case;
use crate::error::CaseError;
use crate::produced::Produced;

/// A refused size.
const REFUSED: [i64; 2] = [-1, -1];

/// Height and width → the two numbers of a column.
type Rule = Box<dyn Fn(u32, u32) -> [i64; 2]>;

pub fn run(case: &Case, out: &mut Produced) -> Result<(), CaseError> {
    let (shape, sizes) = case.integers("hw", 2)?;
    let sides: Option<Vec<u32>> = sizes.iter().map(|s| u32::try_from(*s).ok()).collect();
    let (Some(sides), &[rows, 2]) = (sides, &shape[..]) else {
        return Err(case.wrong_input("hw", "[sizes, 2] sides", format!("{shape:?}")));
    };
    for stage in &case.stages {
        let words = case.options["rules"]
            .get(&stage.name)
            .and_then(|v| v.as_str())
            .unwrap_or_default();
        if let Some(rule) = rule(words) {
            let values = sides.chunks_exact(2).flat_map(|hw| rule(hw[0], hw[1])).collect();
            out.put(&stage.name, Array::integers([rows, 2], values));
        }
    }
    Ok(())
}

/// The rule that a sentence describes; `None` when it is none of ours.
fn rule(words: &str) -> Option<Rule> {
    let numbers = numbers(words);
    let says = |part: &str| words.contains(part);
    let pair = |(a, b): (u32, u32)| [i64::from(a), i64::from(b)];
    match numbers[..] {
        [longest, patch] if says("longest edge") => Some(Box::new(move |h, w| {
            fit_longer_side(h, w, longest, patch).map_or(REFUSED, pair)
        })),
        [longest, patch] if says("image tokens") => Some(Box::new(move |h, w| {
            token_grid(h, w, longest, patch).map_or(REFUSED, |(rows, columns)| pair((columns, rows)))
        })),
        [shorter, longer, multiple] if says("shorter") => Some(Box::new(move |h, w| {
            fit_shorter_side(h, w, shorter, longer, multiple).map_or(REFUSED, pair)
        })),
        [factor, min, max] if says("min_pixels") || !words.contains(char::is_alphabetic) => {
            let (min, max) = (u64::from(min), u64::from(max));
            Some(Box::new(move |h, w| {
                smart_resize(h, w, factor, min, max).map_or(REFUSED, pair)
            }))
        }
        _ => None,
    }
}

/// The numbers of a sentence, in order.
fn numbers(words: &str) -> Vec<u32> {
    words
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_become_rules() {
        for (words, size, expected) in [
            (
                "factor 28, min_pixels 3136, max_pixels 1003520",
                (42, 70),
                Some([56, 56]),
            ),
            ("28, 3136, 12845056", (42, 700), Some([56, 700])),
            ("28, 3136, 12845056", (1, 201), Some(REFUSED)),
            (
                "(h,w) after resize, longest edge 1024, patch 16",
                (42, 70),
                Some([48, 80]),
            ),
            (
                "(columns, rows) of image tokens, max size 1024, patch 16",
                (42, 70),
                Some([5, 3]),
            ),
            (
                "(h,w), shorter 384, longer 639, divisor 32",
                (42, 70),
                Some([352, 608]),
            ),
            (
                "-1 = the reference refuses (aspect ratio above 200)",
                (1, 1),
                None,
            ),
            ("as it comes, 3 times", (1, 1), None),
        ] {
            assert_eq!(rule(words).map(|rule| rule(size.0, size.1)), expected, "{words}");
        }
    }
}
