//! The runs: preprocessing, tower, prefill and decoding of one request, each timed.

use ocellus_base::clock::Clock;
use ocellus_base::trace::span;
use ocellus_engine::{Flow, Request, Sampling, Token};
use ocellus_media::{Decoded, Rgb};
use ocellus_models::{Grid, PositionRule};
use ocellus_session::{PixelBounds, PreparedPicture, Session};

use crate::error::BenchError;
use crate::prompt;
use crate::work::Work;

/// One run, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// Pixels to patches.
    pub preprocess_s: f64,
    /// Patches to visual tokens.
    pub encode_s: f64,
    /// The prompt, up to the scores of the first token.
    pub prefill_s: f64,
    /// Pixels to the first token: all of the above, and choosing it.
    pub first_token_s: f64,
    /// The tokens behind the first.
    pub decode_s: f64,
}

/// All runs, and what they were about.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub grid: Grid,
    /// Tokens of the prompt, those of the picture included.
    pub prompt_tokens: usize,
    pub image_tokens: usize,
    /// Tokens that were generated.
    pub tokens: usize,
    /// The first of them.
    pub first_tokens: Vec<u32>,
    pub runs: Vec<Run>,
}

impl Measured {
    pub fn prefill_tok_s(&self, run: &Run) -> f64 {
        self.prompt_tokens as f64 / run.prefill_s
    }

    pub fn decode_tok_s(&self, run: &Run) -> f64 {
        (self.tokens - 1) as f64 / run.decode_s
    }
}

/// Ids that a report shows.
const SHOWN: usize = 8;

/// Measures `work` on a picture; `seen` is told of every run.
///
/// # Errors
/// A model that writes no text, and a prompt with its answer that the context does not hold.
pub fn measure(
    session: &Session,
    picture: &Rgb,
    bounds: PixelBounds,
    work: &Work,
    clock: &dyn Clock,
    mut seen: impl FnMut(&Measured),
) -> Result<Measured, BenchError> {
    let decoded = decoded(picture);
    let mut all: Option<Measured> = None;
    for _ in 0..work.runs {
        let started = clock.now_ns();
        let patches = {
            let _span = span("preprocess");
            session.decoded_picture(&decoded, bounds)?
        };
        let preprocess_s = seconds(clock.now_ns() - started);
        let grid = patches.geometry.grid;
        let (request, image_tokens) = request(session, patches, work)?;
        let measured = all.get_or_insert_with(|| Measured {
            grid,
            prompt_tokens: request.ids.len(),
            image_tokens,
            tokens: work.tokens,
            first_tokens: Vec::new(),
            runs: Vec::with_capacity(work.runs),
        });
        let (run, ids) = one(session, &request, preprocess_s, clock)?;
        measured.first_tokens = ids.into_iter().take(SHOWN).collect();
        measured.runs.push(run);
        seen(measured);
    }
    all.ok_or(BenchError::NoRun)
}

/// A picture that never was a file.
pub(crate) fn decoded(picture: &Rgb) -> Decoded {
    let size = (picture.width, picture.height);
    Decoded {
        original: size,
        oriented: size,
        image: picture.clone(),
    }
}

/// The request that is measured, and how many of its tokens stand for the picture.
pub(crate) fn request(
    session: &Session,
    picture: PreparedPicture,
    work: &Work,
) -> Result<(Request, usize), BenchError> {
    let prompt = prompt::exact(session, &picture, work.prompt_tokens)?;
    let request = Request {
        ids: prompt.ids,
        pictures: ocellus_session::engine_pictures(&[picture]),
        max_tokens: work.tokens,
        min_tokens: 0,
        sampling: Sampling::default(),
        // Nothing ends the answer before it has its length.
        end: Vec::new(),
        rule: PositionRule::default(),
    };
    Ok((request, prompt.image_tokens))
}

/// One request from its patches on, and the ids that it gave.
fn one(
    session: &Session,
    request: &Request,
    preprocess_s: f64,
    clock: &dyn Clock,
) -> Result<(Run, Vec<u32>), BenchError> {
    let mut stamps: Vec<(u64, u32)> = Vec::with_capacity(request.max_tokens);
    let mut receive = |_: usize, token: Token| {
        stamps.push((clock.now_ns(), token.id));
        Flow::Continue
    };
    let started = clock.now_ns();
    let requests = std::slice::from_ref(request);
    let mut engine = session.engine()?;
    engine.generate(requests, &mut receive)?;
    let timing = engine.timing();
    let (first, last) = match (stamps.first(), stamps.last()) {
        (Some(first), Some(last)) => (first.0, last.0),
        _ => (started, started),
    };
    let run = Run {
        preprocess_s,
        encode_s: seconds(timing.encode_ns),
        prefill_s: seconds(timing.prefill_ns),
        first_token_s: preprocess_s + seconds(first - started),
        decode_s: seconds(last - first),
    };
    Ok((run, stamps.into_iter().map(|s| s.1).collect()))
}

pub(crate) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
