//! Replays the reference's calls, tap by tap, in its padded shapes.

use candle_core::{Device, Tensor};
use ocellus_nn::Taps;
use ocellus_nn::embeddings::rows;
use ocellus_nn::losses::binary::binary_cross_entropy;
use ocellus_nn::ops::loss::{IGNORE, cross_entropy};
use std::sync::Arc;

use super::Vilt;
use super::head::Head;
use super::joined::Joined;
use crate::error::ModelError;
use crate::packed_texts::PackedTexts;
use crate::patches::patch_rows;
use crate::reference::{Given, Trace};
use crate::visual_input::VisualInput;
use ocellus_media::Grid;

impl Trace for Vilt {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let texts = given.rows("input_ids", "attention_mask")?;
        let types = match given.has("token_type_ids") {
            true => given.packed("token_type_ids", &texts)?,
            false => vec![0; texts.ids.len()],
        };
        let pixels = pixels(given, self.head.pictures())?;
        let patch = self.facts.patch_size;
        let sizes = sizes(given, &pixels, patch)?;
        let (patches, grids) = patch_rows(&pixels, patch, sizes.as_deref())?;
        let places = places(&grids, self.head.pictures(), &pixels, patch)?;
        let visual = VisualInput::Pictures { patches, grids };

        let mut seen = Vec::new();
        let mut listen = |name: &str, t: &Tensor| seen.push((name.to_owned(), t.clone()));
        let (pass, pooled) = self.passes((&texts, &types), &visual, &mut Taps::new(&mut listen))?;
        for (name, t) in seen {
            match name.as_str() {
                "text_embeds" => taps.tap(&name, &texts.unpack(&t)?),
                "image_embeds" => taps.tap(&name, &places.unpack(&t)?),
                _ => parts(&name, &t, &pass.joined, (&texts, &places), taps)?,
            }
        }
        taps.tap("pooled", &pass.pooled);
        if let Head::Words { .. } = self.head {
            let logits = self.head.scores(&rows(&pass.states, &pass.joined.text)?)?;
            taps.tap("logits", &texts.unpack(&logits)?);
            if given.has("labels") {
                let (shape, labels) = given.integers("labels", 2)?;
                if shape != [texts.lengths.len(), texts.length] {
                    let expected = format!("[{}, {}]", texts.lengths.len(), texts.length);
                    return Err(ModelError::input(
                        "input `labels`",
                        expected,
                        format!("{shape:?}"),
                    ));
                }
                let own: Vec<i64> = texts.places.iter().map(|place| labels[*place]).collect();
                taps.tap("loss", &mean_cross_entropy(&logits, &own)?);
            }
            return Ok(());
        }
        let logits = self.head.scores(&pooled)?;
        taps.tap("logits", &logits);
        if given.floats.contains_key("labels") {
            let targets = given.tensor("labels", 2)?;
            if targets.dims() != logits.dims() {
                let (expected, found) = (format!("{:?}", logits.dims()), format!("{:?}", targets.dims()));
                return Err(ModelError::input("input `labels`", expected, found));
            }
            taps.tap("loss", &binary_cross_entropy(&logits, &targets)?);
        } else if given.has("labels") {
            taps.tap(
                "loss",
                &mean_cross_entropy(&logits, given.integers("labels", 1)?.1)?,
            );
        }
        Ok(())
    }
}

/// Pictures `[texts · each, channels, height, width]`; the argument may have a separate axis for the pictures of a text.
fn pixels(given: &Given, each: usize) -> Result<Tensor, ModelError> {
    let name = "pixel_values";
    let rank = given.floats.get(name).map_or(0, |(shape, _)| shape.len());
    if each == 1 && rank != 5 {
        return given.tensor(name, 4);
    }
    let pixels = given.tensor(name, 5)?;
    match *pixels.dims() {
        [texts, pictures, channels, height, width] if pictures == each => {
            Ok(pixels.reshape((texts * each, channels, height, width))?)
        }
        _ => Err(ModelError::input(
            format!("input `{name}`"),
            format!("{each} pictures a text"),
            format!("shape {:?}", pixels.dims()),
        )),
    }
}

/// The real height and width of every picture in px, a multiple of the patch size, from the reference's pixel mask sampled at the
/// first row and column of every patch.
fn sizes(given: &Given, pixels: &Tensor, patch: usize) -> Result<Option<Vec<(usize, usize)>>, ModelError> {
    let name = "pixel_mask";
    let Some((shape, mask)) = given.integers.get(name) else {
        return Ok(None);
    };
    let (count, _, height, width) = pixels.dims4()?;
    if mask.len() != count * height * width || shape[shape.len() - 2..] != [height, width] {
        let expected = format!("{count} of {height}x{width}");
        return Err(ModelError::input(
            format!("input `{name}`"),
            expected,
            format!("shape {shape:?}"),
        ));
    }
    let real = |side: usize, at: &dyn Fn(usize) -> i64| {
        let patches = side / patch;
        (0..patches).filter(|i| at(i * side / patches) != 0).count() * patch
    };
    let size = |picture: &[i64]| {
        let down = real(height, &|y| picture[y * width]);
        (down, real(width, &|x| picture[x]))
    };
    Ok(Some(
        mask.chunks_exact((height * width).max(1)).map(size).collect(),
    ))
}

/// Columns of the tokens of the first picture of each text in the reference's batch: the class token, then the grid of the
/// largest picture.
fn places(grids: &[Grid], each: usize, pixels: &Tensor, patch: usize) -> Result<PackedTexts, ModelError> {
    let (_, _, height, width) = pixels.dims4()?;
    let (down, across) = (height / patch, width / patch);
    let length = 1 + down * across;
    let mut mask = vec![0; grids.len() / each * length];
    for (row, grid) in mask.chunks_exact_mut(length).zip(grids.iter().step_by(each)) {
        row[0] = 1;
        for y in 0..grid.h {
            row[1 + y * across..][..grid.w].fill(1);
        }
    }
    Ok(PackedTexts::from_mask(length, &mask))
}

/// Splits combined states into the reference's text and picture taps.
fn parts(
    name: &str,
    states: &Tensor,
    joined: &Joined,
    (texts, places): (&PackedTexts, &PackedTexts),
    taps: &mut Taps,
) -> Result<(), ModelError> {
    let text = rows(states, &joined.text)?;
    taps.tap(&format!("{name}_text"), &texts.unpack(&text)?);
    let picture = rows(states, &joined.picture)?;
    taps.tap(&format!("{name}_image"), &places.unpack(&picture)?);
    Ok(())
}

/// Mean cross-entropy over the rows whose label is not negative.
fn mean_cross_entropy(logits: &Tensor, labels: &[i64]) -> Result<Tensor, ModelError> {
    let (count, classes) = logits.dims2()?;
    let target = |label: &i64| match u32::try_from(*label) {
        Ok(id) if (id as usize) < classes => Ok(id),
        Ok(id) => Err(ModelError::input("a label", format!("less than {classes}"), id)),
        Err(_) => Ok(IGNORE),
    };
    let targets: Arc<[u32]> = labels.iter().map(target).collect::<Result<_, _>>()?;
    if targets.len() != count {
        return Err(ModelError::input("the labels", count, targets.len()));
    }
    let kept = targets.iter().filter(|t| **t != IGNORE).count();
    if kept == 0 {
        return Ok(Tensor::zeros((), logits.dtype(), &Device::Cpu)?);
    }
    Ok((cross_entropy(logits, &targets)? / kept as f64)?)
}
