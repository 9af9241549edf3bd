//! From a conversation with pictures to a request, and from its tokens to the text that a user sees.

use ocellus_engine::{
    FinishReason, Flow, Generated, Picture, Request, StopStrings, Timing, Token, stop::Released,
};
use ocellus_media::{Decoded, Recipe, Rgb, patchify, patchify_exact, strip};
use ocellus_models::{Grid, PositionRule};
use ocellus_text::{Conversation, Special};
use serde_json::{Value, json};

use crate::args::{Pixels, Sampling};
use crate::clock::SystemClock;
use crate::error::Failure;
use crate::interrupt::Listener;
use crate::model::Model;
use crate::sight;

/// A picture as the model will see it.
#[derive(Clone)]
pub struct Seen {
    pub picture: Picture,
    original: (u32, u32),
    oriented: (u32, u32),
    resized: (u32, u32),
    grid: Grid,
    tokens: usize,
}

impl Seen {
    /// Decodes and cuts up a picture. A line reader gets it as one strip of print.
    pub fn new(model: &Model, bytes: &[u8], pixels: &Pixels) -> Result<Self, Failure> {
        let decoded = ocellus_media::decode(bytes, &ocellus_base::limits::Limits::default())?;
        Self::of(model, &decoded, pixels)
    }

    /// Cuts up a picture that is decoded already.
    pub fn of(model: &Model, decoded: &Decoded, pixels: &Pixels) -> Result<Self, Failure> {
        let recipe = Recipe {
            min_pixels: pixels
                .min_pixels
                .map_or(model.recipe.min_pixels, |n| n.get().into()),
            max_pixels: pixels
                .max_pixels
                .map_or(model.recipe.max_pixels, |n| n.get().into()),
            ..model.recipe.clone()
        };
        if recipe.min_pixels > recipe.max_pixels {
            let (min, max) = (recipe.min_pixels, recipe.max_pixels);
            return Err(Failure::usage(format!(
                "at least {min} and at most {max} pixels contradict each other"
            ))
            .hint("change --min-pixels or --max-pixels"));
        }
        if model.planes.is_some() {
            let (patches, grid) = sight::patches_of(model, &decoded.image)?;
            let side = model.loaded.facts().patch_size;
            return Ok(Self {
                original: decoded.original,
                oriented: decoded.oriented,
                resized: ((grid.w * side) as u32, (grid.h * side) as u32),
                grid,
                tokens: model.vlm()?.placeholder(&grid).len(),
                picture: Picture {
                    patches,
                    grid,
                    video_seconds: None,
                    key: None,
                },
            });
        }
        let patches = if model.reads_lines {
            patchify_exact(&line_of(&decoded.image, recipe.factor()), &recipe)?
        } else {
            patchify(&decoded.image, &recipe)?
        };
        Ok(Self {
            original: decoded.original,
            oriented: decoded.oriented,
            resized: patches.resized,
            grid: patches.grid,
            tokens: model.loaded.facts().cells(&patches.grid),
            picture: Picture::still(patches.values, patches.features, patches.grid)
                .map_err(ocellus_models::ModelError::from)?,
        })
    }

    /// The entry of the `vision` block.
    pub fn json(&self, index: usize) -> Value {
        let pair = |(w, h): (u32, u32)| json!([w, h]);
        json!({
            "index": index, "kind": "image", "original": pair(self.original), "oriented": pair(self.oriented),
            "resized": pair(self.resized), "grid": [self.grid.t, self.grid.h, self.grid.w], "tokens": self.tokens,
        })
    }
}

/// Most cells that a line reader's strip may have.
const STRIP_CELLS: u32 = 16;

fn line_of(image: &Rgb, height: u32) -> Rgb {
    let strip = strip::to_height(
        &strip::normalise(&strip::luma(image)),
        height,
        height * STRIP_CELLS,
    );
    strip::pad_right(&strip, height).to_rgb()
}

/// Default bound of an answer, in tokens.
pub const MAX_TOKENS: usize = 1024;

/// The request of a conversation about these pictures.
pub fn request(
    model: &Model,
    conversation: &Conversation,
    pictures: &[Seen],
    sampling: &Sampling,
) -> Result<Request, Failure> {
    let grids: Vec<Grid> = pictures.iter().map(|p| p.grid).collect();
    let ids = model
        .speech
        .ids(model.vlm()?, &model.tokenizer, conversation, &grids)?;
    let room = model.loaded.facts().max_positions.saturating_sub(ids.len());
    let max_tokens = match sampling.max_tokens {
        Some(asked) => asked.get(),
        None => MAX_TOKENS.min(room),
    };
    Ok(Request {
        ids,
        pictures: pictures.iter().map(|p| p.picture.clone()).collect(),
        max_tokens,
        min_tokens: 0,
        sampling: model.generation.sampling(sampling),
        end: model.ends(),
        rule: PositionRule::default(),
    })
}

/// A finished answer.
pub struct Answer {
    pub text: String,
    pub generated: Generated,
    pub timing: Timing,
}

/// Generates, handing text to `show` as it comes; Ctrl-C ends the answer with what there is.
pub fn answer(
    model: &Model,
    request: &Request,
    stop: &[String],
    mut show: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<Answer, Failure> {
    let listener = Listener::new();
    let mut detokenizer = model.tokenizer.detokenizer(Special::Skip);
    let stops = stop.iter().chain(&model.generation.stop).cloned();
    let (mut stops, mut text, mut failed, mut stopped) =
        (StopStrings::new(stops), String::new(), None, false);
    let mut receive = |_: usize, token: Token| {
        let piece = match detokenizer.push(token.id) {
            Ok(piece) => piece.unwrap_or_default(),
            Err(error) => {
                failed = Some(Failure::from(error));
                return Flow::Finish(FinishReason::Cancelled);
            }
        };
        let (piece, flow) = match stops.push(&piece) {
            Released::Text(piece) => (piece, Flow::Continue),
            Released::Stopped(piece) => {
                stopped = true;
                (piece, Flow::Finish(FinishReason::Stop))
            }
        };
        text.push_str(&piece);
        if let Err(failure) = show(&piece) {
            failed = Some(failure);
            return Flow::Finish(FinishReason::Cancelled);
        }
        if listener.requested() {
            Flow::Finish(FinishReason::Cancelled)
        } else {
            flow
        }
    };
    let requests = std::slice::from_ref(request);
    let clock = SystemClock::start();
    let mut engine = model.engine(&clock)?;
    let mut generated = engine.generate(requests, &mut receive)?;
    let timing = engine.timing();
    if let Some(failure) = failed {
        return Err(failure);
    }
    if !stopped {
        let mut rest = match stops.push(&detokenizer.finish()?) {
            Released::Text(rest) | Released::Stopped(rest) => rest,
        };
        rest.push_str(&stops.finish());
        show(&rest)?;
        text.push_str(&rest);
    }
    // One request, one answer.
    Ok(Answer {
        text,
        generated: generated.remove(0),
        timing,
    })
}
