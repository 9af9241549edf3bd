//! Image placeholder expansion: from one placeholder per picture to one per visual token.

use crate::{Result, TextError};

/// Largest number of ids of one prompt.
pub const MAX_PROMPT_IDS: usize = ocellus_base::limits::PROMPT_IDS;

/// Repeats the i-th `pad_id` of `ids` `counts[i]` times, one for every visual token of picture i.
///
/// An error when the prompt holds more or fewer placeholders than `counts`: a picture would be read in another's place.
/// This also catches a placeholder that was typed into the text of a message.
pub fn expand_image_pads(ids: &[u32], pad_id: u32, counts: &[usize]) -> Result<Vec<u32>> {
    let cells: Vec<Vec<u32>> = counts
        .iter()
        .map(|n| vec![pad_id; (*n).min(MAX_PROMPT_IDS + 1)])
        .collect();
    replace_image_pads(ids, pad_id, &cells)
}

/// Puts `pictures[i]` in the place of the i-th `pad_id` of `ids`: the tokens of a picture, with the special tokens of its
/// rows. Errors as [`expand_image_pads`].
pub fn replace_image_pads(ids: &[u32], pad_id: u32, pictures: &[Vec<u32>]) -> Result<Vec<u32>> {
    let found = ids.iter().filter(|id| **id == pad_id).count();
    if found != pictures.len() {
        return Err(TextError::PadCount {
            pad_id,
            expected: pictures.len(),
            found,
        });
    }
    let total = pictures
        .iter()
        .try_fold(ids.len() - found, |sum, picture| sum.checked_add(picture.len()));
    let Some(total) = total.filter(|total| *total <= MAX_PROMPT_IDS) else {
        return Err(TextError::PromptTooLong {
            limit: MAX_PROMPT_IDS,
        });
    };
    let mut expanded = Vec::with_capacity(total);
    let mut pictures = pictures.iter();
    for id in ids {
        if *id == pad_id {
            expanded.extend(pictures.next().into_iter().flatten());
        } else {
            expanded.push(*id);
        }
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
