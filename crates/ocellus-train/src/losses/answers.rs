//! The language modelling loss of answers behind prompts with pictures (Li et al. 2023, section 3.3). The language model may be frozen;
//! the loss counts the tokens of the answer alone.

use candle_core::Tensor;
use ocellus_models::{Embeddings, ModelError, Prompt, Vlm};
use ocellus_nn::Taps;
use ocellus_nn::attention::Batch;
use ocellus_nn::ops::loss::cross_entropy;
use std::sync::Arc;

/// Mean cross-entropy of the tokens of `answers`, answer `i` behind prompt `i`; `patches [n, patch_features]` are those of the
/// prompts' pictures in order. The decoder's own start token, where prompts are read by an encoder, comes from the model.
pub fn answers(
    model: &dyn Vlm,
    patches: &Tensor,
    prompts: &[Prompt],
    answers: &[&[u32]],
) -> Result<Tensor, ModelError> {
    if prompts.len() != answers.len() || answers.iter().any(|a| a.is_empty()) {
        let expected = format!("{} of one token at least", prompts.len());
        return Err(ModelError::input("answers", expected, format!("{answers:?}")));
    }
    let none = &mut Taps::none();
    let grids: Vec<_> = (prompts.iter().flat_map(|p| &p.visions))
        .map(|v| v.grid)
        .collect();
    let cells = model.encode(patches, &grids, none)?;
    let opening = model.prefill_input(prompts, Some(&cells), None, none)?;
    let said = model.embed(&answers.concat(), None, None, none)?;

    // Behind each opening its answer without the last token, which nothing follows.
    let (mut parts, mut positions, mut lengths, mut rows) = (vec![], vec![], vec![], vec![]);
    let (mut opened, mut spoken, mut total) = (0, 0, 0);
    for ((ids, next), answer) in opening.ids.iter().zip(&opening.next).zip(answers) {
        let more = answer.len() - 1;
        parts.push(opening.embeds.narrow(opened, ids.len())?);
        positions.extend_from_slice(&opening.positions[opened..opened + ids.len()]);
        if more > 0 {
            parts.push(said.narrow(spoken, more)?);
        }
        let place = |i: usize| std::array::from_fn(|axis| next[axis] + opening.stride[axis] * i as i64);
        positions.extend((0..more).map(place));
        let length = ids.len() + more;
        rows.extend((total + ids.len() - 1..total + length).map(|row| row as u32));
        lengths.push(length);
        (opened, spoken, total) = (opened + ids.len(), spoken + answer.len(), total + length);
    }
    let batch = Batch::of(lengths).across(opening.cross);
    let hidden = model.forward(&Embeddings::cat(&parts)?, &positions, &batch, None, none)?;
    let count = rows.len();
    let graded = hidden.index_select(&Tensor::from_vec(rows, count, hidden.device())?, 0)?;
    let targets: Arc<[u32]> = answers.concat().into();
    Ok((cross_entropy(&model.logits(&graded)?, &targets)? / count as f64)?)
}
