//! Generators in a reference's padded batch: extracts the prompts, and pads the decoder's results to the reference's shape.

use candle_core::Tensor;
use ocellus_nn::Taps;
use ocellus_nn::attention::Batch;

use super::prompt::ReferencePrompt;
use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::mrope::{PositionRule, VisualSpan};
use crate::packed_texts::PackedTexts;
use crate::vlm::{PrefillInput, Prompt, Slot, Vlm};
use ocellus_media::Grid;

/// The prompts of `rows` with their pictures, whose patches and grids are in row order; `cells` is the number of prompt positions
/// that a picture fills.
pub fn of_rows(
    model: &dyn Vlm,
    rows: &PackedTexts,
    pictures: Option<(&Tensor, &[Grid])>,
    visual_tokens: impl Fn(&Grid) -> usize,
) -> Result<Vec<ReferencePrompt>, ModelError> {
    let (mut grids, mut first) = (pictures.iter().flat_map(|p| p.1).copied(), 0);
    let mut prompts = Vec::with_capacity(rows.lengths.len());
    for ids in rows.split() {
        let places = model.slots(&ids).into_iter().filter(|s| *s == Slot::Image);
        let (mut open, mut own) = (places.count(), Vec::new());
        while let Some((all, _)) = pictures.filter(|_| open > 0) {
            let Some(grid) = grids.next() else { break };
            let patches = grid.t * grid.h * grid.w;
            own.push((all.narrow(0, first, patches)?, grid));
            first += patches;
            open = open.saturating_sub(visual_tokens(&grid).max(1));
        }
        prompts.push(ReferencePrompt {
            ids,
            pictures: own,
            offset: 0,
        });
    }
    match grids.count() {
        0 => Ok(prompts),
        left => Err(ModelError::input(
            "the batch",
            "as many pictures as its prompts hold",
            format!("{left} more"),
        )),
    }
}

/// The prompts without the padding before them.
pub fn unpadded(prompts: &[ReferencePrompt]) -> Vec<Prompt<'_>> {
    let vision = |(_, grid): &(Tensor, Grid)| VisualSpan {
        grid: *grid,
        video_seconds: None,
    };
    prompts
        .iter()
        .map(|p| Prompt {
            ids: &p.ids,
            visions: p.pictures.iter().map(vision).collect(),
            rule: PositionRule::default(),
        })
        .collect()
}

/// The decoder input of the prompts, without their padding.
pub fn prefill_input(
    model: &dyn Vlm,
    prompts: &[ReferencePrompt],
    visual_tokens: Option<&Embeddings>,
    taps: &mut Taps,
) -> Result<PrefillInput, ModelError> {
    model.prefill_input(&unpadded(prompts), visual_tokens, None, taps)
}

/// Runs the decoder over the prompts. Taps `hidden_N`, `hidden_last` and `logits`, each `[batch, length, ..]` with zeros at
/// padding.
pub fn decode(
    model: &dyn Vlm,
    opening: &PrefillInput,
    rows: &PackedTexts,
    taps: &mut Taps,
) -> Result<(), ModelError> {
    let mut failed = None;
    let mut listen = |name: &str, tensor: &Tensor| {
        if name.starts_with("hidden_") {
            match rows.unpack(tensor) {
                Ok(padded) => taps.tap(name, &padded),
                Err(error) => failed = Some(error),
            }
        }
    };
    let batch = Batch::of(opening.lengths()).across(opening.cross.clone());
    let hidden = model.forward(
        &opening.embeds,
        &opening.positions,
        &batch,
        None,
        &mut Taps::new(&mut listen),
    )?;
    if let Some(error) = failed {
        return Err(error);
    }
    taps.tap("logits", &rows.unpack(&model.logits(&hidden)?)?);
    Ok(())
}
