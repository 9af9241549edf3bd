//! Task `preprocess`, where pictures become normalised planes: the stages of one picture or of a padded batch.

use ocellus_media::{PixelRecipe, Pixels, pad_batch};

use crate::array::Array;
use crate::case::{Case, read_text};
use crate::error::CaseError;
use crate::pictures::{picture, sample, settings};

/// The name under which cases keep what became of `options.batch`.
const BATCH: &str = "batch";

/// A picture `[3, height, width]`, or a batch `[pictures, 3, height, width]`.
pub struct Planes {
    shape: Vec<usize>,
    values: Vec<f32>,
    /// `(height, width)` of every picture.
    sizes: Vec<(usize, usize)>,
    /// Pixels of every picture that are no padding; empty outside a batch.
    areas: Vec<usize>,
    /// Side of a patch where the recipe has one, px.
    patch: Option<usize>,
}

/// The recipe of a case: that of its processor with the numbers of the checkpoint. `None` where rows of patches are made.
pub fn recipe(case: &Case) -> Result<Option<PixelRecipe>, CaseError> {
    let processor = case.options.get("processor").and_then(|name| name.as_str());
    let Some(default) = processor.and_then(ocellus_models::families::processor) else {
        return Ok(None);
    };
    let params = case.model().join("params.json");
    let own = case.model().join("preprocessor_config.json");
    let default = if params.exists() && !own.exists() {
        PixelRecipe::from_params(&read_text(&params)?, default)?
    } else {
        default
    };
    Ok(Some(PixelRecipe::from_json(&settings(case)?, default)?))
}

/// What becomes of a picture file, or of all files of the batch.
pub fn planes(case: &Case, source: &str, recipe: &PixelRecipe) -> Result<Planes, CaseError> {
    let one = |file: &str| Ok::<Pixels, CaseError>(recipe.apply(&picture(case, file)?)?);
    let patch = recipe.resize.multiple().map(|side| side as usize);
    if source != BATCH {
        let pixels = one(source)?;
        return Ok(Planes {
            shape: vec![3, pixels.height, pixels.width],
            sizes: vec![(pixels.height, pixels.width)],
            areas: Vec::new(),
            values: pixels.values,
            patch,
        });
    }
    let files = case.texts(BATCH)?;
    if files.is_empty() {
        return Err(case.wrong_option(BATCH, "a list of picture files"));
    }
    let batch = pad_batch(&files.into_iter().map(one).collect::<Result<Vec<_>, _>>()?);
    let mask = batch.mask();
    let place = (batch.height * batch.width).max(1);
    let areas = mask.chunks_exact(place);
    Ok(Planes {
        shape: vec![batch.sizes.len(), 3, batch.height, batch.width],
        areas: areas
            .map(|mask| mask.iter().map(|v| usize::from(*v)).sum())
            .collect(),
        values: batch.values,
        sizes: batch.sizes,
        patch,
    })
}

impl Planes {
    /// One stage; `None` for an unknown name.
    pub fn stage(&self, what: &str) -> Option<Array> {
        let batch = self.shape.len() == 4;
        match what {
            "shape" => Some(Array::counts(self.shape.iter().copied())),
            "size" | "image_sizes" | "pixel_mask_rows_cols" => {
                let sides = self.sizes.iter().flat_map(|size| [size.0, size.1]);
                let sides: Vec<i64> = sides.map(|side| side as i64).collect();
                let shape = if batch { vec![self.sizes.len(), 2] } else { vec![2] };
                Some(Array::integers(shape, sides))
            }
            "pixel_mask_area" if batch => Some(Array::counts(self.areas.iter().copied())),
            "grid_wh" => self.grid().map(|(rows, columns)| Array::counts([columns, rows])),
            // A token ends every row of the grid: all of them, those of patches, those between rows, the last one.
            "n_tokens" => self
                .grid()
                .map(|(rows, columns)| Array::counts([rows * (columns + 1), rows * columns, rows - 1, 1])),
            "pixel_values" => Some(Array::floats(self.shape.clone(), self.values.clone())),
            _ => sample(&self.values, what),
        }
    }

    /// `(rows, columns)` of patches of the only picture.
    fn grid(&self) -> Option<(usize, usize)> {
        let &[(height, width)] = &self.sizes[..] else {
            return None;
        };
        let patch = self.patch?;
        (height >= patch && width >= patch).then_some((height / patch, width / patch))
    }
}
