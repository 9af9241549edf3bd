//! How much weights count, from running the model over pictures and texts before it is quantised.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use ocellus_engine::{FinishReason, Request, Sampling};
use ocellus_hub::Checkpoint;
use ocellus_media::Limits;
use ocellus_models::PositionRule;
use ocellus_nn::Measured;
use ocellus_text::TextForm;

use crate::error::SessionError;
use crate::memory_estimate::Usage;
use crate::options::OpenOptions;
use crate::page::PageOptions;
use crate::session::Session;
use crate::widths::Quant;

/// Tokens of the answer about a picture: what is written counts beside what is read.
const ANSWER: usize = 64;
/// Tokens of a text that are read in one go.
const PIECE: usize = 256;

/// What is known of the weights' importance.
#[derive(Default)]
pub struct Calibration {
    /// By the name of the matrix, a value for each of its inputs.
    pub importance: BTreeMap<String, Arc<[f32]>>,
    /// Rows on which it was measured.
    pub rows: u64,
}

/// What the model is shown.
pub enum CalibrationSample {
    /// A picture's bytes.
    Picture(Vec<u8>),
    Text(String),
}

impl Calibration {
    /// Runs the model that `width` will round over all samples, each with its name; `started` is called before each,
    /// `cancelled` is polled meanwhile. A sample that cannot be used is an error: leaving it out would give other weights.
    ///
    /// # Errors
    /// As [`Session::open`]; a sample that the model cannot be shown; [`SessionError::Cancelled`].
    pub fn gather(
        checkpoint: &Checkpoint,
        options: &OpenOptions,
        width: Quant,
        samples: &[(String, CalibrationSample)],
        (started, cancelled): (&mut dyn FnMut(usize), &dyn Fn() -> bool),
    ) -> Result<Self, SessionError> {
        let measured = Arc::new(Measured::default());
        let options = OpenOptions {
            usage: usage(samples)?,
            ..options.clone()
        };
        let session = Session::open_measured(checkpoint, &options, width, &measured)?;
        session.vlm()?;
        for (index, (name, sample)) in samples.iter().enumerate() {
            started(index);
            match sample {
                CalibrationSample::Picture(bytes) => look(&session, bytes, cancelled),
                CalibrationSample::Text(text) => read(&session, text),
            }
            .map_err(|error| error.about(name))?;
        }
        Ok(Self {
            importance: measured.importance(),
            rows: measured.rows(),
        })
    }
}

/// Memory for the largest of the pictures. All of them are looked at before the model is loaded, which may take minutes.
fn usage(samples: &[(String, CalibrationSample)]) -> Result<Usage, SessionError> {
    let mut largest = None;
    for (name, sample) in samples {
        if let CalibrationSample::Picture(bytes) = sample {
            let size = ocellus_media::dimensions(bytes, &Limits::default());
            let (width, height) = size.map_err(|error| SessionError::from(error).about(name))?;
            largest = largest.max(Some((u64::from(width) * u64::from(height), (width, height))));
        }
    }
    Ok(Usage {
        pictures: largest.map(|(_, size)| size).into_iter().collect(),
        text_tokens: PIECE as u64,
        new_tokens: ANSWER as u64,
        ..Usage::default()
    })
}

/// Captions the picture with the model's own prompt; a line reader reads the page.
fn look(session: &Session, bytes: &[u8], cancelled: &dyn Fn() -> bool) -> Result<(), SessionError> {
    if session.reads_lines() {
        let page = session.prepare_page(bytes, &PageOptions::default())?;
        session.read_page(&page, &mut |_| ControlFlow::Continue(()))?;
        return Ok(());
    }
    let mut request = session.caption_request(bytes, None)?;
    let half = session.model().facts().max_positions / 2;
    request.max_tokens = request.max_tokens.min(ANSWER).min(half);
    // Greedy, so that the same set gives the same weights.
    request.sampling = Sampling::default();
    let answer = session.answer(&request, &[], &mut |_| match cancelled() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    })?;
    match answer.finish {
        FinishReason::Cancelled => Err(SessionError::Cancelled),
        _ => Ok(()),
    }
}

/// Reads a text in pieces, as if the model had written each of them behind its first token.
fn read(session: &Session, text: &str) -> Result<(), SessionError> {
    if session.reads_lines() || session.model().input().prompts.is_some() {
        return Err(SessionError::ReadsNoTextAlone {
            name: session.name().to_owned(),
        });
    }
    let ids = TextForm::BARE.ids(&session.text()?.tokenizer, text)?;
    if ids.len() < 2 {
        return Err(SessionError::ShortText);
    }
    let piece = PIECE.min(session.model().facts().max_positions);
    for ids in ids.chunks(piece).filter(|ids| ids.len() > 1) {
        let request = Request {
            ids: ids[..1].to_vec(),
            pictures: Vec::new(),
            max_tokens: 0,
            min_tokens: 0,
            sampling: Sampling::default(),
            end: Vec::new(),
            rule: PositionRule::default(),
        };
        session.engine()?.rank(&request, &[ids[1..].to_vec()], 1)?;
    }
    Ok(())
}
