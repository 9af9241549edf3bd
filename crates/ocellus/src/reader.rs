//! Reading strips of print with a line reader, many at a time.

use ocellus_engine::{Flow, Picture, Request, Sampling};
use ocellus_media::{Gray, patchify_exact};
use ocellus_models::PositionRule;
use ocellus_tasks::layout::ChunkText;
use ocellus_text::Conversation;

use crate::clock::SystemClock;
use crate::error::Failure;
use crate::model::Model;

/// Strips in one packed pass: enough for long matrices, few enough for little memory.
const BATCH: usize = 64;
/// Characters that a cell can hold at most; a reading that is longer is going round in circles.
const TOKENS_PER_CELL: usize = 8;

/// The text and confidence of every strip, in order.
pub fn read(model: &Model, strips: &[Gray]) -> Result<Vec<ChunkText>, Failure> {
    // Strips of like length share a batch, so that none waits long for another.
    let mut order: Vec<usize> = (0..strips.len()).collect();
    order.sort_by_key(|i| strips[*i].width);
    let mut out: Vec<Option<ChunkText>> = strips.iter().map(|_| None).collect();
    let clock = SystemClock::start();
    let mut engine = model.engine(&clock)?;
    for batch in order.chunks(BATCH) {
        let requests = batch
            .iter()
            .map(|i| request(model, &strips[*i]))
            .collect::<Result<Vec<_>, _>>()?;
        let answers = engine.generate(&requests, &mut |_, _| Flow::Continue)?;
        for (i, answer) in batch.iter().zip(answers) {
            let ids: Vec<u32> = answer.tokens.iter().map(|t| t.id).collect();
            let mean = answer.tokens.iter().map(|t| t.log_probability).sum::<f32>() / ids.len().max(1) as f32;
            out[*i] = Some(ChunkText {
                text: model.tokenizer.decode(&ids)?,
                confidence: mean.exp(),
            });
        }
    }
    Ok(out.into_iter().flatten().collect())
}

fn request(model: &Model, strip: &Gray) -> Result<Request, Failure> {
    let patches = patchify_exact(&strip.to_rgb(), &model.recipe)?;
    let cells = model.loaded.facts().cells(&patches.grid);
    let talk = Conversation::about_images(1, "");
    let ids = model
        .speech
        .ids(model.vlm()?, &model.tokenizer, &talk, &[patches.grid])?;
    Ok(Request {
        ids,
        pictures: vec![
            Picture::still(patches.values, patches.features, patches.grid)
                .map_err(ocellus_models::ModelError::from)?,
        ],
        max_tokens: TOKENS_PER_CELL * (cells + 1),
        min_tokens: 0,
        sampling: Sampling::default(),
        end: model.generation.end.clone(),
        rule: PositionRule::default(),
    })
}
