//! Tasks `logits` and `generate`: both towers with every tap, then decoding.

use candle_core::{Device, Tensor};
use ocellus_models::{Generator, Positions, Vlm};
use ocellus_nn::Taps;
use ocellus_nn::attention::Batch;

use super::array::{Array, Values};
use super::case::Case;
use super::error::CaseError;
use super::rows::{Pictures, Rows};
use super::{Produced, checkpoint, files, greedy, trace};

/// The patches of one kind of picture, `[n, features]`.
pub struct Patches {
    pub values: Vec<f32>,
    pub features: usize,
}

/// What both passes of a case start from.
pub struct Setting {
    pub model: Generator,
    pub rows: Rows,
    pub positions: Vec<Positions>,
    pub images: Patches,
    pub videos: Patches,
}

/// Cells of images and videos, as they replace their tokens.
pub struct Cells {
    pub images: Option<Tensor>,
    pub videos: Option<Tensor>,
}

pub fn run(case: &Case, out: &mut Produced) -> Result<(), CaseError> {
    let model = checkpoint::frozen(case)?;
    if let Some(tracer) = model.tracer() {
        return trace::run(case, model.as_ref(), tracer, out);
    }
    let model = Generator::new(model)?;
    let rows = Rows::read(case, model.vlm().facts())?;
    let positions = rows.positions(case, model.vlm().facts())?;
    let (ids, deltas) = rows.as_reference(&positions);
    out.put("position_ids", ids);
    out.put("rope_deltas", deltas);
    let features = model.vlm().facts().patch_features;
    let images = patches(case, "pixel_values", &rows.images, features)?;
    let videos = patches(case, "pixel_values_videos", &rows.videos, features)?;
    let setting = Setting {
        model,
        rows,
        positions,
        images,
        videos,
    };

    let cells = Cells {
        images: encode(case, &setting, &setting.images, &setting.rows.images, "", out)?,
        videos: encode(
            case,
            &setting,
            &setting.videos,
            &setting.rows.videos,
            "_video",
            out,
        )?,
    };
    decode(case, &setting, &cells, out)?;
    if case.stages.iter().any(|s| s.name.starts_with("greedy_")) {
        greedy::run(case, &setting, &cells, out)?;
    }
    files::run(case, &setting, out)
}

/// The patches of all pictures of one kind; none when the case has none.
fn patches(case: &Case, name: &str, pictures: &Pictures, features: usize) -> Result<Patches, CaseError> {
    let rows: usize = pictures.visions.iter().map(|v| v.grid.patches()).sum();
    if !case.has_input(name) && rows == 0 {
        return Ok(Patches {
            values: Vec::new(),
            features,
        });
    }
    let (shape, values) = case.floats(name, 2)?;
    match shape == [rows, features] {
        true => Ok(Patches { values, features }),
        false => Err(case.wrong_input(name, format!("[{rows}, {features}]"), format!("{shape:?}"))),
    }
}

/// Runs the vision tower; its taps get `suffix`.
fn encode(
    case: &Case,
    setting: &Setting,
    patches: &Patches,
    pictures: &Pictures,
    suffix: &str,
    out: &mut Produced,
) -> Result<Option<Tensor>, CaseError> {
    if pictures.visions.is_empty() {
        return Ok(None);
    }
    let rows = patches.values.len() / patches.features;
    let patches = Tensor::from_slice(&patches.values, (rows, patches.features), &Device::Cpu)?;
    let tapped = tapped(case, suffix, |taps| {
        Ok(setting.model.vlm().encode(&patches, &pictures.grids(), taps)?)
    });
    let (cells, taps) = tapped?;
    for (name, array) in taps {
        out.put(name, array);
    }
    Ok(Some(cells))
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
fn decode(case: &Case, setting: &Setting, cells: &Cells, out: &mut Produced) -> Result<(), CaseError> {
    let rows = &setting.rows;
    let sequences: Vec<_> = rows
        .rows
        .iter()
        .zip(&setting.positions)
        .map(|(r, p)| (r.ids.as_slice(), p.ids.as_slice()))
        .collect();
    let (logits, taps) = tapped(case, "", |taps| {
        logits(setting.model.vlm(), &sequences, cells, taps)
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

/// Logits `[tokens, vocab]` of sequences of ids and positions, packed, without a cache.
pub fn logits(
    model: &dyn Vlm,
    sequences: &[(&[u32], &[[i64; 3]])],
    cells: &Cells,
    taps: &mut Taps,
) -> Result<Tensor, CaseError> {
    let ids: Vec<u32> = sequences
        .iter()
        .flat_map(|(ids, _)| ids.iter().copied())
        .collect();
    let positions: Vec<[i64; 3]> = sequences.iter().flat_map(|(_, at)| at.iter().copied()).collect();
    let batch = Batch::of(sequences.iter().map(|(ids, _)| ids.len()).collect());
    let embeds = model.embed(&ids, cells.images.as_ref(), cells.videos.as_ref(), taps)?;
    let hidden = model.forward(&embeds, &positions, &batch, None, taps)?;
    Ok(model.logits(&hidden)?)
}
