//! Task `preprocess`: picture files and video frames to patches or planes, and tables of target sizes.

use std::collections::BTreeMap;

use ocellus_media::{Patches, PixelRecipe, Recipe, Rgb, patchify, patchify_frames};

use crate::array::{Array, Values};
use crate::case::Case;
use crate::error::CaseError;
use crate::pictures::{picture, recipe, sample};
use crate::planes::{self, Planes};
use crate::produced::Produced;
use crate::sizes;

/// What a case's processor makes of pictures.
enum Maker {
    Patches(Recipe),
    Planes(PixelRecipe),
}

impl Maker {
    fn make(&self, case: &Case, source: &str) -> Result<Made, CaseError> {
        match self {
            Self::Patches(recipe) => patches(case, source, recipe).map(Made::Patches),
            Self::Planes(recipe) => planes::planes(case, source, recipe).map(Made::Planes),
        }
    }
}

/// What a source became.
enum Made {
    Patches(Patches),
    Planes(Planes),
}

/// Stages are called `<file or video>/<what>`.
pub fn run(case: &Case, out: &mut Produced) -> Result<(), CaseError> {
    if case.options.get("rules").is_some() {
        return sizes::run(case, out);
    }
    let maker = match planes::recipe(case)? {
        Some(recipe) => Maker::Planes(recipe),
        None => Maker::Patches(recipe(case)?),
    };
    let mut done: BTreeMap<&str, Result<Made, CaseError>> = BTreeMap::new();
    for stage in &case.stages {
        let Some((source, what)) = stage.name.rsplit_once('/') else {
            continue;
        };
        let array = match done.entry(source).or_insert_with(|| maker.make(case, source)) {
            Ok(_) if what == "refused" => Some(Array {
                shape: Vec::new(),
                values: Values::Integer(vec![0]),
            }),
            Ok(Made::Patches(patches)) => stage_of(patches, what),
            Ok(Made::Planes(planes)) => planes.stage(what),
            Err(CaseError::Media(_)) if what == "refused" => Some(Array::counts([1])),
            Err(_) => None,
        };
        if let Some(Array { shape, values }) = array {
            // A verdict has no shape of its own.
            let shape = if what == "refused" {
                stage.expected.shape.clone()
            } else {
                shape
            };
            out.put(&stage.name, Array { shape, values });
        }
    }
    // The first one that failed although the case expects values of it.
    let wanted = |source: &str| !case.stages.iter().any(|s| s.name == format!("{source}/refused"));
    match done
        .into_iter()
        .find(|(source, made)| made.is_err() && wanted(source))
    {
        Some((source, Err(error))) => Err(CaseError::Refused(format!("{source}: {error}"))),
        _ => Ok(()),
    }
}

/// An input of the name as frames, else a picture file of the set.
fn patches(case: &Case, source: &str, recipe: &Recipe) -> Result<Patches, CaseError> {
    if case.has_input(source) {
        return Ok(patchify_frames(&frames(case, source)?, recipe)?);
    }
    Ok(patchify(&picture(case, source)?, recipe)?)
}

/// Frames `[T, 3, H, W]` of an input as pictures.
fn frames(case: &Case, name: &str) -> Result<Vec<Rgb>, CaseError> {
    let (shape, levels) = case.integers(name, 4)?;
    let levels: Option<Vec<u8>> = levels.into_iter().map(|v| u8::try_from(v).ok()).collect();
    let (Some(levels), &[_, 3, height, width]) = (levels, &shape[..]) else {
        return Err(case.wrong_input(name, "8-bit frames [T, 3, H, W]", format!("{shape:?}")));
    };
    let (area, side) = (height * width, |s: usize| u32::try_from(s).unwrap_or(u32::MAX));
    let frame = |planes: &[u8]| {
        let pixels = (0..area).flat_map(|at| [planes[at], planes[area + at], planes[2 * area + at]]);
        Ok(Rgb::new(side(width), side(height), pixels.collect())?)
    };
    levels.chunks_exact((3 * area).max(1)).map(frame).collect()
}

/// One stage of a picture or video; `None` for an unknown name.
fn stage_of(patches: &Patches, what: &str) -> Option<Array> {
    let rows = patches.values.len() / patches.features;
    match what {
        "image_grid_thw" | "video_grid_thw" => {
            Some(Array::counts([patches.grid.t, patches.grid.h, patches.grid.w]))
        }
        "shape" => Some(Array::counts([rows, patches.features])),
        "pixel_values" => Some(Array::floats([rows, patches.features], patches.values.clone())),
        _ => sample(&patches.values, what),
    }
}
