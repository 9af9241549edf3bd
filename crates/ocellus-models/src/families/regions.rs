//! What the families share that see a picture as the regions a detector found: checks of what was given, post-norm
//! streams, heads, padded arrays.

use candle_core::Tensor;

use crate::error::ModelError;
use crate::facts::Facts;
use crate::sight::{Regions, Sight, Texts};

mod heads;
mod padded;
mod streams;

pub(super) use heads::{Answers, Classes, SEQUENCE};
pub(super) use padded::{only, packed, targets};
pub(super) use streams::{NORM, Stream, divides, labels, layer_names};

/// Facts of a model that sees regions of `width` values.
pub(super) fn facts(family: &'static str, width: usize, max_positions: usize) -> Facts {
    Facts {
        family,
        image_token: None,
        video_token: None,
        merge: 1,
        patch_size: 1,
        temporal_patch_size: 1,
        patch_features: width,
        tokens_per_second: None,
        frames_apart: false,
        max_positions,
    }
}

/// Packed words of several texts.
pub(super) struct Words {
    pub ids: Vec<u32>,
    pub positions: Vec<u32>,
    pub types: Vec<u32>,
    pub lengths: Vec<usize>,
}

impl Words {
    /// Texts that count their positions from 0, all of type 0.
    pub(super) fn of(texts: &Texts) -> Self {
        let ids = texts.concat();
        Self {
            positions: texts.iter().flat_map(|t| 0..t.len() as u32).collect(),
            types: vec![0; ids.len()],
            lengths: texts.iter().map(|t| t.len()).collect(),
            ids,
        }
    }

    /// Fails when a table has no row for a word.
    pub(super) fn check(&self, vocab: usize, max_positions: usize, types: usize) -> Result<(), ModelError> {
        if let Some(empty) = self.lengths.iter().position(|n| *n == 0) {
            return Err(ModelError::input(
                format!("text {empty}"),
                "at least 1 token",
                "none",
            ));
        }
        if let Some(&id) = self.ids.iter().find(|id| **id as usize >= vocab) {
            return Err(ModelError::Vocabulary { id, vocab });
        }
        let over = |values: &[u32], limit: usize| values.iter().copied().find(|v| *v as usize >= limit);
        if let Some(place) = over(&self.positions, max_positions) {
            let expected = format!("at most {max_positions} tokens");
            return Err(ModelError::input(
                "a text",
                expected,
                format!("a token at place {place}"),
            ));
        }
        match over(&self.types, types) {
            Some(kind) => Err(ModelError::input(
                "a text",
                format!("token types under {types}"),
                kind,
            )),
            None => Ok(()),
        }
    }
}

/// The regions of every picture: one picture for each of `texts`, at least one region of `width` values in each, as many boxes
/// as features, sides that are lengths.
pub(super) fn regions(sight: &Sight, texts: usize, width: usize) -> Result<&[Regions], ModelError> {
    let regions = sight.regions()?;
    if regions.len() != texts {
        let expected = format!("a picture for each of {texts} texts");
        return Err(ModelError::input(
            "the input",
            expected,
            format!("{} pictures", regions.len()),
        ));
    }
    for (i, picture) in regions.iter().enumerate() {
        let wrong = |what: &str, expected: String, found: String| {
            Err(ModelError::input(
                format!("{what} of picture {i}"),
                expected,
                found,
            ))
        };
        let shape = picture.features.dims();
        if shape.len() != 2 || shape[0] == 0 || shape[1] != width {
            let expected = format!("the shape [regions, {width}] with at least one region");
            return wrong("`features`", expected, format!("the shape {shape:?}"));
        }
        if picture.boxes.len() != shape[0] {
            let expected = format!("a box for each of {} regions", shape[0]);
            return wrong("`boxes`", expected, format!("{} boxes", picture.boxes.len()));
        }
        let side = |s: f32| s.is_finite() && s > 0.0;
        if !side(picture.width) || !side(picture.height) {
            let found = format!("{} x {} px", picture.width, picture.height);
            return wrong("the size", "two positive lengths".to_owned(), found);
        }
        if let Some(bad) = picture.boxes.iter().find(|b| b.iter().any(|v| !v.is_finite())) {
            return wrong("`boxes`", "finite numbers".to_owned(), format!("{bad:?}"));
        }
    }
    Ok(regions)
}

/// Fails unless `hidden[i]` are regions of picture `i`.
pub(super) fn check_hidden(hidden: &[&[usize]], regions: &[Regions]) -> Result<(), ModelError> {
    if hidden.len() != regions.len() {
        let expected = format!("a list for each of {} pictures", regions.len());
        return Err(ModelError::input(
            "the hidden regions",
            expected,
            format!("{} lists", hidden.len()),
        ));
    }
    for (i, (hidden, picture)) in hidden.iter().zip(regions).enumerate() {
        if let Some(region) = hidden.iter().find(|r| **r >= picture.boxes.len()) {
            let expected = format!("indices under {}", picture.boxes.len());
            return Err(ModelError::input(
                format!("the list of hidden regions of picture {i}"),
                expected,
                region,
            ));
        }
    }
    Ok(())
}

/// Index of the first row of every sequence.
pub(super) fn firsts(lengths: &[usize]) -> Vec<u32> {
    let starts = lengths.iter().scan(0, |next, n| {
        *next += *n as u32;
        Some(*next - *n as u32)
    });
    starts.collect()
}

/// Rows of `x` by index.
pub(super) fn pick(x: &Tensor, index: &[u32]) -> Result<Tensor, ModelError> {
    let index = Tensor::from_slice(index, index.len(), x.device())?;
    Ok(x.index_select(&index, 0)?)
}
