//! Argument checks for models that encode whole texts and whole pictures, and small tensor operations between their towers.

use candle_core::{D, Tensor};
use ocellus_media::Grid;

use crate::error::ModelError;
use crate::packed_texts::PackedTexts;
use crate::reference::Given;
use crate::visual_input::{Texts, VisualInput};

/// Patches, with rows and columns of every picture.
pub(super) type Pictures<'a> = (&'a Tensor, Vec<(usize, usize)>);

/// The pictures of `visual`; fails unless patches have `features` values each.
pub(super) fn pictures(visual: &VisualInput, features: usize) -> Result<Pictures<'_>, ModelError> {
    let (patches, grids) = visual.pictures()?;
    let (rows, found) = patches.dims2()?;
    if found != features {
        return Err(ModelError::input("a patch", format!("{features} values"), found));
    }
    let flat = |grid: &Grid| match grid.t {
        1 => Ok((grid.h, grid.w)),
        t => Err(ModelError::input("a picture", "one frame", format!("{t} frames"))),
    };
    let grids = grids.iter().map(flat).collect::<Result<Vec<_>, _>>()?;
    let wanted: usize = grids.iter().map(|(h, w)| h * w).sum();
    if wanted != rows || rows == 0 {
        let expected = format!("{} patches for its grids, and one at least", wanted);
        return Err(ModelError::input(
            "the input",
            expected,
            format!("{rows} patches"),
        ));
    }
    Ok((patches, grids))
}

/// Packs texts after checking that each has 1 to `most` ids, all below `vocab`.
pub(super) fn texts(texts: &Texts, vocab: usize, most: usize) -> Result<PackedTexts, ModelError> {
    let lengths: Vec<usize> = texts.iter().map(|t| t.len()).collect();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let rows = PackedTexts {
        ids: texts.concat(),
        places: (lengths.iter().enumerate())
            .flat_map(|(i, n)| (0..*n).map(move |column| i * longest + column))
            .collect(),
        length: longest,
        lengths,
    };
    checked(rows, vocab, most)
}

/// Returns packed texts unchanged after checking that each has 1 to `most` ids, all below `vocab`.
pub(super) fn checked(rows: PackedTexts, vocab: usize, most: usize) -> Result<PackedTexts, ModelError> {
    if let Some(length) = rows.lengths.iter().find(|n| **n == 0 || **n > most) {
        return Err(ModelError::input("a text", format!("1 to {most} tokens"), length));
    }
    if let Some(column) = rows.columns().into_iter().find(|c| *c >= most) {
        return Err(ModelError::input(
            "a text",
            format!("at most {most} places"),
            column + 1,
        ));
    }
    known(&rows.ids, vocab)?;
    Ok(rows)
}

/// Fails when an id is outside the vocabulary.
pub(super) fn known(ids: &[u32], vocab: usize) -> Result<(), ModelError> {
    match ids.iter().find(|id| **id as usize >= vocab) {
        Some(&id) => Err(ModelError::Vocabulary { id, vocab }),
        None => Ok(()),
    }
}

/// Fails unless there are as many texts as pictures.
pub(super) fn paired(texts: usize, pictures: usize) -> Result<(), ModelError> {
    match texts == pictures {
        true => Ok(()),
        false => Err(ModelError::input(
            "the input",
            format!("{pictures} texts for {pictures} pictures"),
            texts,
        )),
    }
}

/// The pictures of the reference argument `name`, `[n, 3, height, width]`.
pub(super) fn visual(given: &Given, name: &str, patch: usize) -> Result<VisualInput, ModelError> {
    let (patches, grids) = given.patches(name, patch, None)?;
    Ok(VisualInput::Pictures { patches, grids })
}

/// Scales every row to norm 1.
pub(super) fn unit(x: &Tensor) -> Result<Tensor, ModelError> {
    let norm = x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
    Ok(x.broadcast_div(&norm.maximum(1e-12)?)?)
}

/// Packed `[rows, width]` of `count` sequences of equal length → `[count, length, width]`.
pub(super) fn split(rows: &Tensor, count: usize) -> Result<Tensor, ModelError> {
    let (all, width) = rows.dims2()?;
    Ok(rows.reshape((count, all / count.max(1), width))?)
}
