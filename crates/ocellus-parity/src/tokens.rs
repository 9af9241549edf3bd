//! Task `tokens`: strings to ids, and conversations with pictures of which only the size is known.

use ocellus_text::{Conversation, Instruct, Message, TekkenImages, VisualTokenRows};
use serde_json::Value;

use crate::array::Array;
use crate::case::Case;
use crate::conversation::message;
use crate::error::CaseError;
use crate::produced::Produced;
use crate::vocabulary;
use crate::vocabulary::{Vocabularies, Vocabulary};

pub fn run(case: &Case, vocabularies: &Vocabularies, out: &mut Produced) -> Result<(), CaseError> {
    case.option("strings", "a list of texts")?;
    let strings = case.texts("strings")?;
    let vocabulary = vocabulary::read(case, vocabularies)?;
    encode(&vocabulary, strings, out)?;
    chats(case, &vocabulary, out)
}

/// Puts `ids`, all strings' one after another, and `offsets`, where each begins and the last one ends.
pub fn encode<'s>(
    vocabulary: &Vocabulary,
    strings: impl IntoIterator<Item = &'s str>,
    out: &mut Produced,
) -> Result<(), CaseError> {
    let encoded = strings.into_iter().map(|string| vocabulary.encode(string));
    put(["ids", "offsets"], encoded, out)
}

/// Puts `chat_ids` and `chat_offsets` likewise, where the case has conversations.
fn chats(case: &Case, vocabulary: &Vocabulary, out: &mut Produced) -> Result<(), CaseError> {
    let wrong = || case.wrong_option("conversations", "a list of conversations");
    let Some(value) = case.options.get("conversations").filter(|v| !v.is_null()) else {
        return Ok(());
    };
    let instruct = Instruct::new(&vocabulary.tokenizer)?;
    let chat = |value: &Value| {
        let turns = value.as_array().ok_or_else(wrong)?;
        let messages: Option<Vec<Message>> = turns.iter().map(message).collect();
        let sizes: Option<Vec<(u32, u32)>> = turns.iter().flat_map(pictures).map(size).collect();
        let (messages, sizes) = messages.zip(sizes).ok_or_else(wrong)?;
        let images = vocabulary
            .images
            .or_else(|| sizes.is_empty().then_some(NO_IMAGES));
        let images = images.ok_or_else(|| {
            CaseError::Refused("the vocabulary does not say how pictures become cells".to_owned())
        })?;
        let visual_tokens: Vec<VisualTokenRows> = sizes
            .into_iter()
            .map(|size| visual_tokens(size, images))
            .collect();
        Ok(instruct.encode(&Conversation::new(messages), &visual_tokens)?)
    };
    put(
        ["chat_ids", "chat_offsets"],
        value.as_array().ok_or_else(wrong)?.iter().map(chat),
        out,
    )
}

fn put(
    names: [&str; 2],
    encoded: impl Iterator<Item = Result<Vec<u32>, CaseError>>,
    out: &mut Produced,
) -> Result<(), CaseError> {
    let (mut ids, mut offsets) = (Vec::new(), vec![0]);
    for one in encoded {
        ids.extend(one?);
        offsets.push(ids.len());
    }
    out.put(names[0], Array::ids(&ids));
    out.put(names[1], Array::counts(offsets));
    Ok(())
}

/// Stands where no conversation has a picture.
const NO_IMAGES: TekkenImages = TekkenImages {
    image_patch_size: 1,
    max_image_size: 1,
    spatial_merge_size: 1,
};

/// The pictures of one turn.
fn pictures(turn: &Value) -> impl Iterator<Item = &Value> {
    let parts = turn.get("content").and_then(Value::as_array);
    let is_picture = |part: &&Value| part.get("type").and_then(Value::as_str) == Some("image");
    parts.into_iter().flatten().filter(is_picture)
}

/// Width and height in pixels.
fn size(picture: &Value) -> Option<(u32, u32)> {
    let side = |i: usize| {
        let side = picture.get("size")?.get(i)?.as_u64()?;
        u32::try_from(side).ok().filter(|side| *side > 0)
    };
    Some((side(0)?, side(1)?))
}

/// A picture's cells: it is made smaller until its longer side is allowed, then cut into cells, the last ones incomplete.
fn visual_tokens((width_px, height_px): (u32, u32), images: TekkenImages) -> VisualTokenRows {
    let (width_px, height_px) = (f64::from(width_px), f64::from(height_px));
    let longest = f64::from(images.max_image_size);
    let ratio = (height_px / longest).max(width_px / longest).max(1.0);
    let side_px = u64::from(images.image_patch_size) * u64::from(images.spatial_merge_size);
    // Halves go to the even neighbour, and no side vanishes.
    let count = |side: f64| {
        let side = if ratio > 1.0 {
            (side / ratio).round_ties_even()
        } else {
            side
        };
        (side.max(1.0) as u64).div_ceil(side_px.max(1)) as usize
    };
    VisualTokenRows {
        rows: count(height_px),
        columns: count(width_px),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_become_cells() {
        let images = TekkenImages {
            image_patch_size: 16,
            max_image_size: 1024,
            spatial_merge_size: 1,
        };
        for (size, columns, rows) in [
            ((40, 20), 3, 2),
            ((33, 16), 3, 1),
            ((1, 1), 1, 1),
            ((1024, 1024), 64, 64),
            ((1025, 1024), 64, 64),
            ((2048, 10), 64, 1),
            ((100_000, 10), 64, 1),
            ((3000, 2000), 64, 43),
        ] {
            assert_eq!(
                visual_tokens(size, images),
                VisualTokenRows { rows, columns },
                "{size:?}"
            );
        }
        let merged = TekkenImages {
            spatial_merge_size: 2,
            ..images
        };
        assert_eq!(
            visual_tokens((40, 20), merged),
            VisualTokenRows { rows: 1, columns: 2 }
        );
    }
}
