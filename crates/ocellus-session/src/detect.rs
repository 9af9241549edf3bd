//! The regions of a picture, for models that take regions.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use ocellus_media::Limits;
use ocellus_models::{ClassScore, Detections, Task};
use ocellus_processor::PictureRecipe;
use ocellus_weights::{Dtype, TensorBytes, f32_bytes, i64_bytes};

use crate::error::SessionError;
use crate::session::Session;

impl Session {
    /// Objects in a picture and their boxes, highest confidence first.
    ///
    /// # Errors
    /// What is no picture; a model that detects nothing.
    pub fn detect(&self, picture: &[u8]) -> Result<Detections, SessionError> {
        let (Some(detector), PictureRecipe::Planes(recipe)) =
            (self.model().detector(), self.pictures().recipe())
        else {
            return Err(SessionError::Unable {
                who: self.name().to_owned(),
                task: Task::Detect,
            });
        };
        let picture = ocellus_media::decode(picture, &Limits::default())?.image;
        let pixels = recipe.apply(&picture)?;
        let planes = Tensor::from_vec(pixels.values, (3, pixels.height, pixels.width), &Device::Cpu)?;
        let found = detector.detect(&planes, (picture.height, picture.width))?;
        self.intact()?;
        Ok(found)
    }
}

/// Writes a file of regions with the detector's results for each.
///
/// # Errors
/// A file that cannot be written.
pub fn write_regions(path: &Path, found: &Detections) -> Result<(), SessionError> {
    Ok(ocellus_weights::write(
        path,
        &arrays(found)?,
        &Default::default(),
    )?)
}

fn arrays(found: &Detections) -> Result<Vec<TensorBytes>, SessionError> {
    let regions = &found.regions;
    let (count, width) = regions.features.dims2()?;
    let features = regions
        .features
        .flatten_all()?
        .to_dtype(DType::F32)?
        .to_vec1::<f32>()?;
    let floats = |name: &str, shape: &[usize], values: &[f32]| {
        let bytes = f32_bytes(values, Dtype::F32)?;
        Ok::<_, SessionError>((name.to_owned(), Dtype::F32, shape.to_vec(), bytes))
    };
    let classes = |name: &str, guesses: &[ClassScore]| {
        let ids: Vec<i64> = guesses.iter().map(|g| i64::from(g.class)).collect();
        (name.to_owned(), Dtype::I64, vec![count], i64_bytes(&ids))
    };
    let chances = |guesses: &[ClassScore]| guesses.iter().map(|g| g.probability).collect::<Vec<_>>();
    Ok(vec![
        floats("features", &[count, width], &features)?,
        floats("boxes", &[count, 4], regions.boxes.as_flattened())?,
        floats("size", &[2], &[regions.width, regions.height])?,
        floats("scores", &[count], &chances(&found.objects))?,
        classes("objects", &found.objects),
        classes("attributes", &found.attributes),
        floats("attribute_scores", &[count], &chances(&found.attributes))?,
    ])
}
