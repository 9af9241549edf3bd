//! Prompts of models that are not spoken to in conversations: a phrase, and pictures in front of it or beside it.

use ocellus_engine::{Beams, Picture, Request, Sampling};
use ocellus_models::PositionRule;
use ocellus_text::Special;

use crate::args::Pixels;
use crate::clock::SystemClock;
use crate::error::Failure;
use crate::model::Model;
use crate::question::{self, Seen};
use crate::sight;

/// What a model in conversations is asked for a caption.
const CAPTION: &str = "Describe the image in one sentence.";

/// The request for a caption of a picture, which begins with `words` or, in a conversation, follows them.
pub fn caption(model: &Model, picture: &[u8], words: Option<&str>) -> Result<Request, Failure> {
    match model.loaded.input().prompts {
        Some(phrases) => phrase(model, &[picture], words.unwrap_or(phrases.caption)),
        None => {
            let pixels = Pixels {
                min_pixels: None,
                max_pixels: None,
            };
            let seen = Seen::new(model, picture, &pixels)?;
            let talk = ocellus_tasks::ask::conversation(1, words.unwrap_or(CAPTION), None);
            question::request(model, &talk, &[seen], &crate::args::Sampling::default())
        }
    }
}

/// The request for an answer to `question`, in the model's own phrase.
pub fn question(
    model: &Model,
    phrase_of: &str,
    pictures: &[&[u8]],
    question: &str,
) -> Result<Request, Failure> {
    phrase(model, pictures, &phrase_of.replace("{}", question))
}

/// Pictures and a phrase about them.
fn phrase(model: &Model, pictures: &[&[u8]], words: &str) -> Result<Request, Failure> {
    let (mut ids, mut seen) = (Vec::new(), Vec::with_capacity(pictures.len()));
    for bytes in pictures {
        let (patches, grid) = sight::patches(model, bytes)?;
        if let Some(token) = model.loaded.facts().image_token {
            ids.extend(std::iter::repeat_n(token, model.loaded.facts().cells(&grid)));
        }
        seen.push(Picture {
            patches,
            grid,
            video_seconds: None,
            key: None,
        });
    }
    ids.extend(model.texts(&[words.to_owned()])?.concat());
    Ok(Request {
        ids,
        pictures: seen,
        max_tokens: question::MAX_TOKENS,
        min_tokens: 0,
        sampling: Sampling::default(),
        end: model.ends(),
        rule: PositionRule::default(),
    })
}

/// The best of several answers that were followed side by side.
pub struct Best {
    pub text: String,
    pub ids: Vec<u32>,
    /// Mean logarithm of the tokens' probabilities.
    pub score: f32,
}

/// Follows `beams` answers of at most `max_tokens` tokens.
pub fn best(model: &Model, request: Request, beams: u8, max_tokens: usize) -> Result<Best, Failure> {
    let request = Request {
        max_tokens,
        ..request
    };
    let options = Beams {
        width: beams.into(),
        length_penalty: 1.0,
    };
    let clock = SystemClock::start();
    let mut found = model.engine(&clock)?.search(&[request], options)?;
    // One request, at least one answer.
    let best = found.remove(0).remove(0);
    let ids: Vec<u32> = best.tokens.iter().map(|t| t.id).collect();
    let text = model.tokenizer.decode_with(&ids, Special::Skip)?;
    Ok(Best {
        text: text.trim().to_owned(),
        ids,
        score: best.score,
    })
}
