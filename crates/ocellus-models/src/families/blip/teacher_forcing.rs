//! Teacher forcing: the decoder over given texts, in padded batches with a next-token loss, as the reference computes it.

use candle_core::Tensor;
use ocellus_nn::attention::Batch;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::ops::loss::{IGNORE, smoothed_cross_entropy};
use ocellus_nn::{CrossMemory, Segment, Taps};
use std::sync::Arc;

use crate::error::ModelError;
use crate::packed_texts::PackedTexts;
use crate::reference::Given;

/// Runs the decoder over the input `ids` with `decoder_attention_mask`. Taps `{prefix}hidden_N` and `logits`, 0 at padding, and
/// with `labels` the `loss`.
///
/// Padding is computed too: where labels at padding are not masked, the reference's loss includes the logits there. A padding
/// position attends to the real tokens before it, and nothing attends to it.
pub fn teacher_forced(
    given: &Given,
    decoder: &Decoder,
    memory: CrossMemory,
    (ids, prefix, logits): (&str, &str, &str),
    smoothing: f64,
    taps: &mut Taps,
) -> Result<(), ModelError> {
    let rows = given.rows(ids, "decoder_attention_mask")?;
    let (batch, length) = (rows.lengths.len(), rows.length);
    let every = PackedTexts::from_mask(length, &vec![1; batch * length]);
    let all = given.packed(ids, &every)?;
    let vocab = decoder.spec().vocab;
    if let Some(&id) = all.iter().find(|id| **id as usize >= vocab) {
        return Err(ModelError::Vocabulary { id, vocab });
    }
    let positions: Vec<[i64; 3]> = every.columns().iter().map(|c| [*c as i64; 3]).collect();
    let sequences = Batch::of(every.lengths.clone()).across(Some(Arc::new(memory)));
    let places: Vec<u32> = rows.places.iter().map(|p| *p as u32).collect();
    let places = Tensor::from_vec(places, rows.places.len(), decoder.device())?;
    let real = |t: &Tensor| rows.unpack(&t.index_select(&places, 0)?);
    let mut padded = |name: &str, t: &Tensor| {
        if let Ok(t) = real(t) {
            taps.tap(&format!("{prefix}{name}"), &t);
        }
    };
    let hidden = decoder.forward_seeing(
        &decoder.embed(&all)?,
        &seen(&rows),
        &positions,
        &sequences,
        &mut Taps::new(&mut padded),
    )?;
    let scores = decoder.logits(&hidden)?; // [batch · length, vocab]
    taps.tap(logits, &real(&scores)?);
    if given.has("labels") {
        let targets = following(given, &rows)?;
        taps.tap("loss", &smoothed_cross_entropy(&scores, &targets, smoothing)?);
    }
    Ok(())
}

/// Segments in which real tokens attend to themselves and earlier tokens, and a padding position behind them attends to all real
/// tokens.
fn seen(rows: &PackedTexts) -> Arc<[Segment]> {
    let mut segments = Vec::new();
    for (row, &real) in rows.lengths.iter().enumerate() {
        let first = row * rows.length;
        let segment = |q_start, q_len| Segment {
            q_start,
            q_len,
            k_start: first,
            k_len: real,
        };
        segments.push(segment(first, real));
        segments.extend((first + real..first + rows.length).map(|place| segment(place, 1)));
    }
    segments.into()
}

/// The label of the next column for every position; negative labels are ignored.
fn following(given: &Given, rows: &PackedTexts) -> Result<Arc<[u32]>, ModelError> {
    let (shape, labels) = given.integers("labels", 2)?;
    if shape != [rows.lengths.len(), rows.length] {
        let expected = format!("[{}, {}]", rows.lengths.len(), rows.length);
        return Err(ModelError::input(
            "input `labels`",
            expected,
            format!("{shape:?}"),
        ));
    }
    let next = |place: usize| match (place + 1) % rows.length {
        0 => IGNORE,
        _ => u32::try_from(labels[place + 1]).unwrap_or(IGNORE),
    };
    Ok((0..labels.len()).map(next).collect())
}
