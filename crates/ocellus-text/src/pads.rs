//! From one placeholder per picture to one per picture cell.

use crate::{Result, TextError};

/// Largest number of ids of one prompt.
pub const MAX_PROMPT_IDS: usize = 1 << 22;

/// Repeats the i-th `pad_id` of `ids` `counts[i]` times, so that every cell of picture i has a place in the sequence.
///
/// An error when the prompt holds more or fewer placeholders than `counts`: a picture would be read in another's place.
/// This also catches a placeholder that was typed into the text of a message.
pub fn expand_image_pads(ids: &[u32], pad_id: u32, counts: &[usize]) -> Result<Vec<u32>> {
    let found = ids.iter().filter(|id| **id == pad_id).count();
    if found != counts.len() {
        return Err(TextError::PadCount {
            pad_id,
            expected: counts.len(),
            found,
        });
    }
    let total = counts
        .iter()
        .try_fold(ids.len() - found, |sum, count| sum.checked_add(*count));
    let Some(total) = total.filter(|total| *total <= MAX_PROMPT_IDS) else {
        return Err(TextError::PromptTooLong {
            limit: MAX_PROMPT_IDS,
        });
    };
    let mut expanded = Vec::with_capacity(total);
    let mut counts = counts.iter();
    for id in ids {
        let count = if *id == pad_id {
            counts.next().copied().unwrap_or(0)
        } else {
            1
        };
        expanded.extend(std::iter::repeat_n(*id, count));
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_are_repeated_in_order() {
        let cases: &[(&[u32], &[usize], &[u32])] = &[
            (&[1, 9, 2, 9, 3], &[3, 1], &[1, 9, 9, 9, 2, 9, 3]),
            (&[9], &[0], &[]),
            (&[], &[], &[]),
            (&[1, 2], &[], &[1, 2]),
            (&[9, 9], &[1, 2], &[9, 9, 9]),
        ];
        for (ids, counts, expected) in cases {
            assert_eq!(expand_image_pads(ids, 9, counts).unwrap(), *expected);
        }
    }

    #[test]
    fn counts_must_agree_and_stay_bounded() {
        for (ids, counts) in [(vec![9], vec![]), (vec![9], vec![1, 1]), (vec![], vec![1])] {
            let error = expand_image_pads(&ids, 9, &counts).unwrap_err();
            assert!(matches!(error, TextError::PadCount { pad_id: 9, .. }), "{error}");
        }
        for counts in [[usize::MAX, 1], [MAX_PROMPT_IDS, 1]] {
            let error = expand_image_pads(&[9, 9], 9, &counts).unwrap_err();
            assert!(matches!(error, TextError::PromptTooLong { .. }), "{error}");
        }
    }
}
