//! A prompt of an exact length about one picture.

use ocellus_models::{Grid, Slot, Vlm};
use ocellus_session::{PreparedPicture, Session};
use ocellus_text::{Conversation, Tokenizer};

use crate::error::BenchError;

/// What the text of the prompt says, as often as needed.
const WORDS: &str = "Describe this picture in detail and list every object that you can see in it, from left to right, \
    with its colour and its size. ";

/// The ids of a prompt, and how many of them stand for the picture.
pub struct Exact {
    pub ids: Vec<u32>,
    pub image_tokens: usize,
}

/// A prompt of `text_tokens` tokens beside those that stand for the picture.
pub fn exact(session: &Session, seen: &PreparedPicture, text_tokens: usize) -> Result<Exact, BenchError> {
    let (vlm, grid) = (session.vlm()?, seen.geometry.grid);
    let (before, picture, after) = match session.model().input().prompts {
        Some(_) => (Vec::new(), spelled(vlm, &grid), Vec::new()),
        None => {
            let conversation = Conversation::about_images(1, "");
            let ids = session.prompt_ids(&conversation, &[grid])?;
            around(vlm, &ids)
        }
    };
    let words = words(&session.text()?.tokenizer, vlm.decoder().spec().vocab)?;
    let image_tokens = picture.len();
    let ids = fit(before, picture, after, &words, text_tokens);
    Ok(Exact { ids, image_tokens })
}

/// The tokens of a picture in front of a phrase, for models whose text has places for it.
fn spelled(vlm: &dyn Vlm, grid: &Grid) -> Vec<u32> {
    let facts = vlm.facts();
    facts
        .image_token
        .map(|token| vec![token; facts.visual_tokens(grid)])
        .unwrap_or_default()
}

/// What stands in front of the picture, the picture, what stands behind it.
fn around(vlm: &dyn Vlm, ids: &[u32]) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
    let slots = vlm.slots(ids);
    let seen = |slot: &Slot| *slot != Slot::Text;
    let first = slots.iter().position(seen).unwrap_or(0);
    let end = slots.iter().rposition(seen).map_or(first, |last| last + 1);
    (
        ids[..first].to_vec(),
        ids[first..end].to_vec(),
        ids[end..].to_vec(),
    )
}

/// Ids of a plain text; never empty.
fn words(tokenizer: &Tokenizer, vocab: usize) -> Result<Vec<u32>, BenchError> {
    let mut ids = tokenizer.encode_plain(WORDS)?;
    ids.retain(|id| (*id as usize) < vocab);
    if ids.is_empty() {
        ids.push(0);
    }
    Ok(ids)
}

/// The picture between `text` tokens: of those around it the nearest are kept, and words fill what is left.
fn fit(before: Vec<u32>, picture: Vec<u32>, after: Vec<u32>, words: &[u32], text: usize) -> Vec<u32> {
    let head = before.len().min(text / 2);
    let mark = after.len().min(1).min(text - head);
    let tail = (after.len() - mark).min(text - head - mark);
    let filler = words.iter().cycle().take(text - head - mark - tail);
    let mut ids = before[before.len() - head..].to_vec();
    ids.extend(picture);
    ids.extend(&after[..mark]);
    ids.extend(filler);
    ids.extend(&after[after.len() - tail..]);
    ids
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn a_prompt_has_exactly_the_asked_number_of_text_tokens() {
        let (before, picture, after) = (vec![1, 2, 3], vec![9, 9, 9], vec![4, 5, 6]);
        let cases: [(usize, &[u32]); 5] = [
            (2, &[3, 9, 9, 9, 4]),
            (4, &[2, 3, 9, 9, 9, 4, 6]),
            (6, &[1, 2, 3, 9, 9, 9, 4, 5, 6]),
            (8, &[1, 2, 3, 9, 9, 9, 4, 7, 8, 5, 6]),
            (9, &[1, 2, 3, 9, 9, 9, 4, 7, 8, 7, 5, 6]),
        ];
        for (text, expected) in cases {
            let found = fit(before.clone(), picture.clone(), after.clone(), &[7, 8], text);
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(fit(vec![], vec![], vec![], &[7], 3), [7, 7, 7]);
    }
}
