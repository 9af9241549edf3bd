//! Tasks `logits` and `generate`: both towers with every tap, then decoding.

use candle_core::{Device, Tensor};
use ocellus_models::Embeddings;
use ocellus_models::Generator;
use ocellus_nn::Taps;

use crate::array::{Array, Values};
use crate::case::Case;
use crate::error::CaseError;
use crate::inputs::{Inputs, Patches, VisualTokens, logits};
use crate::produced::Produced;
use crate::rows::Pictures;
use crate::{checkpoint, files, greedy, trace};

pub fn run(case: &Case, out: &mut Produced) -> Result<(), CaseError> {
    if let Some(model) = checkpoint::trace(case)? {
        return trace::run(case, model.as_ref(), out);
    }
    let model = checkpoint::frozen(case)?;
    let inputs = Inputs::read(case, Generator::new(model)?)?;
    let (ids, deltas) = inputs.rows.as_reference(&inputs.positions);
    out.put("position_ids", ids);
    out.put("rope_deltas", deltas);
    let visual = VisualTokens {
        images: encode(case, &inputs, &inputs.images, &inputs.rows.images, "", out)?,
        videos: encode(case, &inputs, &inputs.videos, &inputs.rows.videos, "_video", out)?,
    };
    decode(case, &inputs, &visual, out)?;
    if case.stages.iter().any(|s| s.name.starts_with("greedy_")) {
        greedy::run(case, &inputs, &visual, out)?;
    }
    files::run(case, &inputs, out)
}

/// Runs the vision tower; its taps get `suffix`.
fn encode(
    case: &Case,
    inputs: &Inputs,
    patches: &Patches,
    pictures: &Pictures,
    suffix: &str,
    out: &mut Produced,
) -> Result<Option<Embeddings>, CaseError> {
    if pictures.visions.is_empty() {
        return Ok(None);
    }
    let rows = patches.values.len() / patches.features;
    let patches = Tensor::from_slice(&patches.values, (rows, patches.features), &Device::Cpu)?;
    let tapped = tapped(case, suffix, |taps| {
        Ok(inputs.model.vlm().encode(&patches, &pictures.grids(), taps)?)
    });
    let (visual, taps) = tapped?;
    for (name, array) in taps {
        out.put(name, array);
    }
    Ok(Some(visual))
}

type Tapped = Vec<(String, Array)>;

/// Runs `pass` and keeps the taps that the case asks for.
fn tapped<T>(
    case: &Case,
    suffix: &str,
    pass: impl FnOnce(&mut Taps) -> Result<T, CaseError>,
) -> Result<(T, Tapped), CaseError> {
    let mut kept = Vec::new();
    let mut listen = |name: &str, tensor: &Tensor| {
        let name = format!("{name}{suffix}");
        if case.stage(&name).is_some() {
            kept.push((name, tensor.clone()));
        }
    };
    let result = pass(&mut Taps::new(&mut listen))?;
    let arrays = kept
        .into_iter()
        .map(|(name, t)| Ok((name, Array::from_tensor(&t)?)));
    Ok((result, arrays.collect::<Result<_, CaseError>>()?))
}

/// The decoder over all rows in one packed pass; results go back into the padded layout.
fn decode(case: &Case, inputs: &Inputs, visual: &VisualTokens, out: &mut Produced) -> Result<(), CaseError> {
    let rows = &inputs.rows;
    let sequences: Vec<_> = rows
        .rows
        .iter()
        .zip(&inputs.positions)
        .map(|(r, p)| (r.ids.as_slice(), p.ids.as_slice()))
        .collect();
    let (logits, taps) = tapped(case, "", |taps| {
        logits(inputs.model.vlm(), &sequences, visual, taps)
    })?;
    let logits = ("logits".to_owned(), Array::from_tensor(&logits)?);
    for (name, array) in taps.into_iter().chain([logits]) {
        let (Values::Float(values), [_, width]) = (&array.values, array.shape.as_slice()) else {
            continue;
        };
        out.put(name, rows.unpack(values, *width));
    }
    Ok(())
}
