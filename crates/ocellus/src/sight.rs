//! What models see that do not take pictures as cells of their text: planes cut into patches, or region features.

use std::path::Path;

use candle_core::{Device, Tensor};
use ocellus_media::Rgb;
use ocellus_models::VisualFormat;
use ocellus_models::patches::patch_rows;
use ocellus_models::{Grid, Regions, Sight};
use ocellus_weights::Regions as Found;

use crate::error::Failure;
use crate::inputs;
use crate::model::Model;

/// A picture file, or what a detector found in it, as the model takes it.
pub fn sight(model: &Model, picture: &Path, found: Option<&Path>) -> Result<Sight, Failure> {
    let about = |failure: Failure| failure.about(&inputs::name(found.unwrap_or(picture)));
    match (model.loaded.input().visual, found) {
        (VisualFormat::Regions { width }, Some(file)) => regions_of(file, width).map_err(about),
        (VisualFormat::Regions { .. }, None) => Err(Failure::new(format!(
            "{} does not look at pictures but at what a detector found in them",
            model.name
        ))
        .hint("give the features with --regions FILE.npz, or make them with `ocellus detect`")),
        (_, Some(_)) => Err(Failure::usage(format!(
            "{} looks at pictures, not at region features",
            model.name
        ))
        .hint("leave out --regions")),
        (_, None) => {
            let (patches, grid) = patches(model, &inputs::read(picture)?).map_err(about)?;
            Ok(Sight::Pictures {
                patches,
                grids: vec![grid],
            })
        }
    }
}

/// The patch rows of one picture.
pub fn patches(model: &Model, bytes: &[u8]) -> Result<(Tensor, Grid), Failure> {
    let decoded = ocellus_media::decode(bytes, &ocellus_base::limits::Limits::default())?;
    patches_of(model, &decoded.image)
}

/// The same of a picture that is decoded already.
pub fn patches_of(model: &Model, image: &Rgb) -> Result<(Tensor, Grid), Failure> {
    let Some(recipe) = &model.planes else {
        return Err(
            Failure::new(format!("{} sees pictures as part of its text", model.name))
                .hint("`ocellus ask --image FILE` shows it a picture"),
        );
    };
    let pixels = recipe.apply(image)?;
    let shape = (1, 3, pixels.height, pixels.width);
    let planes = Tensor::from_vec(pixels.values, shape, &Device::Cpu).map_err(tensor)?;
    let (patches, grids) = patch_rows(&planes, model.loaded.facts().patch_size, None)?;
    Ok((patches, grids[0]))
}

fn regions_of(file: &Path, width: usize) -> Result<Sight, Failure> {
    let read = Found::from_file(file, width)?;
    let features = Tensor::from_vec(
        read.features,
        (read.boxes.len(), read.features_width),
        &Device::Cpu,
    );
    Ok(Sight::Regions(vec![Regions {
        features: features.map_err(tensor)?,
        boxes: read.boxes,
        width: read.image_width,
        height: read.image_height,
    }]))
}

/// The same input as often as there are texts for it.
pub fn repeated(sight: &Sight, times: usize) -> Result<Sight, Failure> {
    Ok(match sight {
        Sight::Pictures { patches, grids } => Sight::Pictures {
            patches: Tensor::cat(&vec![patches; times], 0).map_err(tensor)?,
            grids: grids.repeat(times),
        },
        Sight::Regions(regions) => Sight::Regions(
            std::iter::repeat_n(regions, times)
                .flat_map(|r| r.iter().cloned())
                .collect(),
        ),
    })
}

fn tensor(error: candle_core::Error) -> Failure {
    ocellus_models::ModelError::from(error).into()
}
