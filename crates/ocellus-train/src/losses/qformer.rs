//! The first stage of Q-Former training (Li et al. 2023, section 3.2): image-text contrast, image-text matching and image-grounded
//! text generation.
//!
//! All three use the same pictures and queries; what differs is the attention mask. It is unimodal in the contrast, bidirectional in
//! the matching, and multimodal causal in the generation.

use candle_core::Tensor;
use ocellus_models::learner::qformer::QFormerPretraining;
use ocellus_models::{ModelError, VisualInput};
use ocellus_nn::ops::loss::{IGNORE, cross_entropy, smoothed_cross_entropy};
use std::sync::Arc;

use super::momentum_distillation::Negatives;

/// Pictures and texts that belong together.
pub struct Pairs<'a> {
    pub visual: &'a VisualInput,
    pub texts: &'a [&'a [u32]],
}

/// How a step is graded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QFormerSettings {
    /// Share of the targets that is spread over all classes, in the contrast and over words.
    pub smoothing: f64,
    /// The token that takes the place of a text's first when it is to be continued.
    pub start: u32,
}

/// What a step computed. The losses are nodes of the graph.
pub struct Losses {
    pub contrast: Tensor,
    pub matching: Tensor,
    pub words: Tensor,
    /// Row `i`: how like picture `i` and each text are, over the temperature; `[pairs, pairs]`. What hard negatives are drawn by.
    pub similarity: Tensor,
}

impl Losses {
    /// All of them, equally weighted.
    pub fn total(&self) -> Result<Tensor, ModelError> {
        Ok(((&self.contrast + &self.matching)? + &self.words)?)
    }
}

/// The losses of a batch with these negatives.
pub fn step(
    model: &dyn QFormerPretraining,
    pairs: &Pairs,
    negatives: &Negatives,
    settings: QFormerSettings,
) -> Result<Losses, ModelError> {
    let (pictures, count) = (model.pictures(pairs.visual)?, pairs.texts.len());
    if pictures.lengths.len() != count || count < 2 {
        return Err(ModelError::input(
            "a batch of pairs",
            "as many texts as pictures, and two at least",
            format!("{} pictures and {count} texts", pictures.lengths.len()),
        ));
    }
    let wrong = |chosen: &[usize]| chosen.len() != count || chosen.iter().any(|i| *i >= count);
    if wrong(&negatives.pictures) || wrong(&negatives.texts) {
        let expected = format!("{count} of each, numbers below {count}");
        return Err(ModelError::input("negatives", expected, format!("{negatives:?}")));
    }

    let similarity = similarity(model, &model.query_features(&pictures)?, pairs.texts)?;
    let own: Arc<[u32]> = (0..count as u32).collect();
    let of_pictures = smoothed_cross_entropy(&similarity, &own, settings.smoothing)?;
    let of_texts = smoothed_cross_entropy(&similarity.t()?.contiguous()?, &own, settings.smoothing)?;

    // Every text with its picture, every text with a negative picture, every picture with a negative text.
    let negative_texts = negatives.texts.iter().map(|i| pairs.texts[*i]);
    let texts: Vec<&[u32]> = pairs
        .texts
        .iter()
        .chain(pairs.texts)
        .copied()
        .chain(negative_texts)
        .collect();
    let seen = pictures
        .and(&pictures.pick(&negatives.pictures)?)?
        .and(&pictures)?;
    let targets: Arc<[u32]> = (0..3 * count).map(|i| u32::from(i < count)).collect();
    let matching = cross_entropy(&model.matching_logits(&texts, &seen)?, &targets)?;

    let (texts, targets) = continued(pairs.texts, settings.start)?;
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let words = model.next_token_logits(&texts, &pictures)?;
    Ok(Losses {
        contrast: ((of_pictures + of_texts)? * 0.5)?,
        matching: (matching / (3 * count) as f64)?,
        words: smoothed_cross_entropy(&words, &targets, settings.smoothing)?,
        similarity,
    })
}

/// Every picture's best query for every text, over the temperature: `queries [pictures, queries, features]` →
/// `[pictures, texts]`.
fn similarity(
    model: &dyn QFormerPretraining,
    queries: &Tensor,
    texts: &[&[u32]],
) -> Result<Tensor, ModelError> {
    let (pictures, count, features) = queries.dims3()?;
    let of_texts = model.text_features(texts)?.t()?.contiguous()?;
    let cosines = queries.reshape((pictures * count, features))?.matmul(&of_texts)?;
    let best = cosines.reshape((pictures, count, texts.len()))?.max(1)?;
    Ok(best.broadcast_div(model.temperature()?)?)
}

/// Texts, and for every token of theirs the one that should follow.
type Continued = (Vec<Vec<u32>>, Arc<[u32]>);

/// Texts behind `start` in place of their first token, and for every token the one behind it.
fn continued(texts: &[&[u32]], start: u32) -> Result<Continued, ModelError> {
    if texts.iter().all(|text| text.len() < 2) {
        return Err(ModelError::input(
            "texts to be continued",
            "a second token",
            "none",
        ));
    }
    let begin = |text: &&[u32]| {
        std::iter::once(start)
            .chain(text.iter().skip(1).copied())
            .collect()
    };
    let behind = |text: &&[u32]| -> Vec<u32> { text.iter().skip(1).copied().chain([IGNORE]).collect() };
    Ok((
        texts.iter().map(begin).collect(),
        texts.iter().flat_map(behind).collect(),
    ))
}
