//! How much weights count, from running the model over pictures and texts before it is rounded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocellus_base::limits::Limits;
use ocellus_engine::{FinishReason, Request, Sampling, rank};
use ocellus_hub::Checkpoint;
use ocellus_models::PositionRule;
use ocellus_nn::Measured;
use ocellus_session::Usage;
use ocellus_tasks::ocr;
use ocellus_text::TextForm;

use crate::context::Context;
use crate::error::Failure;
use crate::model::Model;
use crate::values::Quant;
use crate::{inputs, progress, prompt, question, reader};

/// Tokens of the answer about a picture: what is written counts beside what is read.
const ANSWER: usize = 64;
/// Tokens of a text that are read in one go.
const PIECE: usize = 256;

/// What is known of the weights' importance.
#[derive(Default)]
pub struct Calibration {
    pub importance: BTreeMap<String, Arc<[f32]>>,
    /// Rows on which it was measured.
    pub rows: u64,
}

/// What the model is shown.
enum Sample {
    Picture(Vec<u8>),
    Text(String),
}

impl Calibration {
    /// Runs the model that `width` will round over everything in `paths`. One that cannot be used ends it: a set that is not the
    /// one asked for gives other weights.
    pub fn gather(
        context: &Context,
        checkpoint: &Checkpoint,
        width: Quant,
        paths: &[PathBuf],
    ) -> Result<Self, Failure> {
        // All of it is looked at before the model is loaded, which may take minutes.
        let (mut samples, mut largest) = (Vec::new(), None);
        for argument in paths {
            for path in inputs::expand_with_texts(argument)? {
                let name = inputs::name(&path);
                let (sample, size) = Sample::read(&path).map_err(|failure| failure.about(&name))?;
                largest = largest.max(size);
                samples.push((name, sample));
            }
        }
        let usage = Usage {
            pictures: largest.map(|(_, size)| size).into_iter().collect(),
            text_tokens: PIECE as u64,
            new_tokens: ANSWER as u64,
            ..Usage::default()
        };
        let measured = Arc::new(Measured::default());
        let model = Model::load_measured(context, checkpoint, &usage, (width, &measured))?;
        model.vlm()?;
        for (index, (name, sample)) in samples.iter().enumerate() {
            progress::note(
                context.global.quiet,
                &format!("calibration, {} of {}: {name}", index + 1, samples.len()),
            );
            match sample {
                Sample::Picture(bytes) => look(&model, bytes),
                Sample::Text(text) => read(&model, text),
            }
            .map_err(|failure| failure.about(name))?;
        }
        let rows = measured.rows();
        if rows == 0 {
            return Err(
                Failure::new(format!("{}: nothing went through the model", checkpoint.name))
                    .hint("give --calibration pictures in which there is something to read"),
            );
        }
        Ok(Self {
            importance: measured.importance(),
            rows,
        })
    }
}

/// Pixels of a picture, and its sides.
type Size = Option<(u64, (u32, u32))>;

impl Sample {
    fn read(path: &Path) -> Result<(Self, Size), Failure> {
        if inputs::is_text(path) {
            return Ok((Self::Text(inputs::read_text(path)?), None));
        }
        let bytes = inputs::read(path)?;
        let (width, height) = ocellus_media::dimensions(&bytes, &Limits::default())?;
        let pixels = u64::from(width) * u64::from(height);
        Ok((Self::Picture(bytes), Some((pixels, (width, height)))))
    }
}

/// Asks the model what it sees, in its own manner; a line reader reads the page.
fn look(model: &Model, bytes: &[u8]) -> Result<(), Failure> {
    if model.reads_lines {
        let page = ocellus_media::decode(bytes, &Limits::default())?.image;
        ocr::CutPage::new(&page).read(&mut |strips| reader::read(model, strips))?;
        return Ok(());
    }
    let mut request = prompt::caption(model, bytes, None)?;
    let half = model.loaded.facts().max_positions / 2;
    request.max_tokens = request.max_tokens.min(ANSWER).min(half);
    // The likeliest answer, so that the same set gives the same weights.
    request.sampling = Sampling::default();
    let answer = question::answer(model, &request, &[], |_| Ok(()))?;
    match answer.generated.finish {
        FinishReason::Cancelled => Err(Failure::interrupted()),
        _ => Ok(()),
    }
}

/// Reads a text in pieces, as if the model had written each of them behind its first token.
fn read(model: &Model, text: &str) -> Result<(), Failure> {
    if model.reads_lines || model.loaded.input().prompts.is_some() {
        return Err(
            Failure::new(format!("{} reads no text without a picture", model.name))
                .hint("give --calibration pictures only"),
        );
    }
    let ids = TextForm::BARE.ids(&model.tokenizer, text)?;
    if ids.len() < 2 {
        return Err(
            Failure::new("the text has fewer than two tokens").hint("give a longer one, or leave it out")
        );
    }
    let piece = PIECE.min(model.loaded.facts().max_positions);
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
        rank(model.vlm()?, &request, &[ids[1..].to_vec()], 1)?;
    }
    Ok(())
}
