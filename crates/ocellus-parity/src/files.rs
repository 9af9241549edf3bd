//! Repeats the case from the picture files themselves: decode, resize, patchify, expand placeholders, generate.
//!
//! Rows of our own, named `files/…`, behind the expected ones. Pixels may differ by one 8-bit step of the resize, three
//! where the file is lossy in a way that decoders disagree on (JPEG).

use ocellus_base::limits::ENCODED_BYTES;
use ocellus_engine::Picture;
use ocellus_media::{Limits, Recipe, decode, patchify};
use ocellus_text::expand_image_pads;

use crate::array::Array;
use crate::case::Case;
use crate::compare::{compare, missing};
use crate::error::CaseError;
use crate::greedy;
use crate::inputs::{Inputs, VisualTokens};
use crate::pictures;
use crate::produced::Produced;

/// Room for rounding beside a step.
const SLACK: f64 = 1.0127;

pub fn run(case: &Case, inputs: &Inputs, out: &mut Produced) -> Result<(), CaseError> {
    let files = case.texts("image_files")?;
    if files.is_empty() {
        return Ok(());
    }
    let pictures = from_files(case, &files, out)?;
    let prompt = case.ids("prompt_ids_with_one_pad_per_image")?;
    if prompt.is_empty() {
        return Err(case.wrong_option("prompt_ids_with_one_pad_per_image", "token ids"));
    }
    let facts = inputs.model.vlm().facts();
    let counts: Vec<usize> = pictures.iter().map(|p| facts.visual_tokens(&p.grid)).collect();
    let ids = expand_image_pads(&prompt, facts.image_token.unwrap_or_default(), &counts)?;
    let row = greedy::ids_array(std::slice::from_ref(&ids));
    out.also(compare(
        "files/input_ids",
        &case.input("input_ids")?,
        &row,
        0.0,
        0.0,
    ));

    let Some(stage) = case.stage("greedy_ids") else {
        return Ok(());
    };
    // Several end ids are told apart by the cells of the stored pixels, which these are not.
    if case.ids("eos")?.len() > 1 {
        out.also(missing("files/greedy_ids", &stage.expected));
        return Ok(());
    }
    let none = VisualTokens {
        images: None,
        videos: None,
    };
    let answers = greedy::answer(case, inputs, &none, vec![ids], vec![pictures])?;
    let got = greedy::ids_array(&answers.ids);
    out.also(compare("files/greedy_ids", &stage.expected, &got, 0.0, 0.0));
    Ok(())
}

/// The files as patches; their pixels and grids are compared with the stored ones.
fn from_files(case: &Case, files: &[&str], out: &mut Produced) -> Result<Vec<Picture>, CaseError> {
    let recipe = pictures::recipe(case)?;
    let (mut pictures, mut pixels, mut lossy) = (Vec::new(), Vec::new(), false);
    for file in files {
        let path = case.in_set(file);
        let bytes = ocellus_base::files::read(&path, ENCODED_BYTES).map_err(|e| CaseError::file(&path, e))?;
        lossy |= bytes.starts_with(&[0xff, 0xd8]);
        let patches = patchify(&decode(&bytes, &Limits::default())?.image, &recipe)?;
        pixels.extend_from_slice(&patches.values);
        pictures.push(Picture::still(patches.values, patches.features, patches.grid)?);
    }
    let features = recipe.features();
    let grids = pictures.iter().flat_map(|p| [p.grid.t, p.grid.h, p.grid.w]);
    let grids = Array::integers([pictures.len(), 3], grids.map(|side| side as i64).collect());
    let atol = step(&recipe) * if lossy { 3.0 } else { 1.0 };
    let pixels = Array::floats([pixels.len() / features, features], pixels);
    out.also(compare(
        "files/pixel_values",
        &case.input("pixel_values")?,
        &pixels,
        atol,
        0.0,
    ));
    out.also(compare(
        "files/image_grid_thw",
        &case.input("image_grid_thw")?,
        &grids,
        0.0,
        0.0,
    ));
    Ok(pictures)
}

/// One 8-bit step after normalisation, in the channel where it is largest.
fn step(recipe: &Recipe) -> f64 {
    let narrowest = recipe.std.iter().copied().fold(f32::INFINITY, f32::min);
    f64::from(recipe.rescale) / f64::from(narrowest) * SLACK
}
