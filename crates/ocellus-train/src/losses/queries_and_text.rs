//! Contrast, matching and continued texts with learned queries that stand for the picture (Li et al. 2023, section 3.2).
//!
//! All three read the same pictures with the same queries; what differs is who sees whom. In the contrast neither side sees the
//! other, in the matching both do, in the continuing texts see queries alone.

use candle_core::Tensor;
use ocellus_models::learner::qformer::QFormerPretraining;
use ocellus_models::{ModelError, Sight};
use ocellus_nn::ops::loss::{IGNORE, cross_entropy, smoothed_cross_entropy};
use std::sync::Arc;

use super::image_text_momentum::Strangers;

/// Pictures and texts that belong together.
pub struct Pairs<'a> {
    pub sight: &'a Sight,
    pub texts: &'a [&'a [u32]],
}

/// How a step is graded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
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
    /// Row `i`: how like picture `i` and each text are, over the temperature; `[pairs, pairs]`. What hard strangers are drawn by.
    pub similarity: Tensor,
}

impl Losses {
    /// All of them, equally weighted.
    pub fn total(&self) -> Result<Tensor, ModelError> {
        Ok(((&self.contrast + &self.matching)? + &self.words)?)
    }
}

/// The losses of a batch with these strangers.
pub fn step(
    model: &dyn QFormerPretraining,
    pairs: &Pairs,
    strangers: &Strangers,
    setting: Setting,
) -> Result<Losses, ModelError> {
    let (pictures, count) = (model.pictures(pairs.sight)?, pairs.texts.len());
    if pictures.lengths.len() != count || count < 2 {
        return Err(ModelError::input(
            "a batch of pairs",
            "as many texts as pictures, and two at least",
            format!("{} pictures and {count} texts", pictures.lengths.len()),
        ));
    }
    let wrong = |chosen: &[usize]| chosen.len() != count || chosen.iter().any(|i| *i >= count);
    if wrong(&strangers.pictures) || wrong(&strangers.texts) {
        let expected = format!("{count} of each, numbers below {count}");
        return Err(ModelError::input("strangers", expected, format!("{strangers:?}")));
    }

    let similarity = similarity(model, &model.query_features(&pictures)?, pairs.texts)?;
    let own: Arc<[u32]> = (0..count as u32).collect();
    let of_pictures = smoothed_cross_entropy(&similarity, &own, setting.smoothing)?;
    let of_texts = smoothed_cross_entropy(&similarity.t()?.contiguous()?, &own, setting.smoothing)?;

    // Every text with its picture, every text with a strange picture, every picture with a strange text.
    let strange = strangers.texts.iter().map(|i| pairs.texts[*i]);
    let texts: Vec<&[u32]> = pairs
        .texts
        .iter()
        .chain(pairs.texts)
        .copied()
        .chain(strange)
        .collect();
    let seen = pictures
        .and(&pictures.pick(&strangers.pictures)?)?
        .and(&pictures)?;
    let targets: Arc<[u32]> = (0..3 * count).map(|i| u32::from(i < count)).collect();
    let matching = cross_entropy(&model.matching_logits(&texts, &seen)?, &targets)?;

    let (texts, targets) = continued(pairs.texts, setting.start)?;
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let words = model.next_token_logits(&texts, &pictures)?;
    Ok(Losses {
        contrast: ((of_pictures + of_texts)? * 0.5)?,
        matching: (matching / (3 * count) as f64)?,
        words: smoothed_cross_entropy(&words, &targets, setting.smoothing)?,
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
