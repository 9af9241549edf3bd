//! Preparing pictures for a model: their patches, or only the number of them.

use candle_core::{Device, Tensor};
use ocellus_media::{Decoded, Limits, Recipe, Rgb, patchify, patchify_exact, smart_resize, strip};
use ocellus_models::patches::patch_rows;
use ocellus_models::plan::Shape;
use ocellus_models::{Facts, Grid, Model};

use crate::error::{ProcessorError, Result};
use crate::recipe::PictureRecipe;
use crate::text_files::TextFiles;

/// Most visual tokens of a line reader's strip.
const STRIP_TOKENS: u32 = 16;

/// Bounds of a picture's area in place of the checkpoint's, px.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PixelBounds {
    pub min_pixels: Option<u64>,
    pub max_pixels: Option<u64>,
}

/// The sizes of a picture during preprocessing, and its tokens. Sizes are `(width, height)` in px.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureGeometry {
    /// As stored in the file.
    pub original: (u32, u32),
    /// After the EXIF orientation: as a viewer shows it.
    pub oriented: (u32, u32),
    /// As the model sees it.
    pub resized: (u32, u32),
    /// Patches of it.
    pub grid: Grid,
    /// Its visual tokens in a prompt.
    pub tokens: usize,
}

/// A picture that is ready for a model.
#[derive(Debug, Clone)]
pub struct PreparedPicture {
    /// `[patches, features]`, on the CPU.
    pub patches: Tensor,
    pub geometry: PictureGeometry,
}

/// Prepares the pictures of one model.
#[derive(Debug, Clone)]
pub struct PictureProcessor {
    recipe: PictureRecipe,
    facts: Facts,
    tokens: PictureTokens,
    warnings: Vec<String>,
}

/// How many tokens a picture takes in the prompt.
#[derive(Debug, Clone, Copy)]
enum PictureTokens {
    /// One for every visual token, and this many end tokens a row.
    Rows { ends: usize },
    /// A fixed number for every picture.
    Fixed(usize),
}

impl PictureProcessor {
    /// From a config alone.
    ///
    /// # Errors
    /// As [`PictureRecipe::read`].
    pub fn of_shape(files: &TextFiles, shape: &Shape) -> Result<Self> {
        let mut warnings = Vec::new();
        Ok(Self {
            recipe: PictureRecipe::read(files, &shape.input, &shape.facts, &mut warnings)?,
            facts: shape.facts.clone(),
            tokens: PictureTokens::Rows { ends: shape.row_ends },
            warnings,
        })
    }

    /// For a model that is loaded; of families with a shape the same as [`of_shape`](Self::of_shape).
    ///
    /// # Errors
    /// As [`PictureRecipe::read`].
    pub fn of_model(files: &TextFiles, model: &dyn Model, shape: Option<&Shape>) -> Result<Self> {
        if let Some(shape) = shape {
            return Self::of_shape(files, shape);
        }
        let mut warnings = Vec::new();
        let recipe = PictureRecipe::read(files, &model.input().visual, model.facts(), &mut warnings)?;
        let tokens = match (&recipe, model.generator()) {
            // Every picture is resized to the same size.
            (PictureRecipe::Planes(_), Some(vlm)) => {
                PictureTokens::Fixed(vlm.placeholder(&Grid { t: 1, h: 1, w: 1 }).len())
            }
            _ => PictureTokens::Rows { ends: 0 },
        };
        Ok(Self {
            recipe,
            facts: model.facts().clone(),
            tokens,
            warnings,
        })
    }

    /// Whether it reads one line of print at a time.
    pub fn reads_lines(&self) -> bool {
        matches!(self.recipe, PictureRecipe::Strip(_))
    }

    /// What a user should know of the files that it was made from, in sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub fn recipe(&self) -> &PictureRecipe {
        &self.recipe
    }

    /// Visual tokens of every picture, where their number does not depend on the picture.
    pub fn fixed_tokens(&self) -> Option<usize> {
        match self.tokens {
            PictureTokens::Fixed(count) => Some(count),
            PictureTokens::Rows { .. } => None,
        }
    }

    /// What [`prepare`](Self::prepare) will make of a picture of this width and height after its orientation, px.
    ///
    /// # Errors
    /// Sides that no recipe takes, bounds that contradict each other, models that take regions.
    pub fn geometry(&self, (width, height): (u32, u32), bounds: PixelBounds) -> Result<PictureGeometry> {
        let (resized, side) = match &self.recipe {
            PictureRecipe::Patches(recipe) => {
                let Recipe {
                    min_pixels,
                    max_pixels,
                    ..
                } = within(recipe, bounds)?;
                let (h, w) = smart_resize(height, width, recipe.factor(), min_pixels, max_pixels)?;
                ((w, h), recipe.patch_size)
            }
            PictureRecipe::Strip(recipe) => {
                let recipe = within(recipe, bounds)?;
                let line = recipe.factor();
                let scaled = strip::width_at(width, height, line, line * STRIP_TOKENS);
                ((scaled.next_multiple_of(line), line), recipe.patch_size)
            }
            PictureRecipe::Planes(recipe) => {
                check(bounds)?;
                let side = (self.facts.patch_size as u32).max(1);
                let (h, w) = recipe.size(height, width)?;
                // A remainder smaller than a patch is dropped.
                ((w / side * side, h / side * side), side)
            }
            PictureRecipe::Regions { .. } => return Err(ProcessorError::RegionsOnly),
        };
        let side = side.max(1);
        let grid = Grid {
            t: 1,
            h: (resized.1 / side) as usize,
            w: (resized.0 / side) as usize,
        };
        Ok(PictureGeometry {
            original: (width, height),
            oriented: (width, height),
            resized,
            grid,
            tokens: self.tokens(&grid),
        })
    }

    /// Decodes a picture's bytes and prepares it.
    ///
    /// # Errors
    /// What is no picture that can be decoded, and as [`prepare`](Self::prepare).
    pub fn open(&self, bytes: &[u8], bounds: PixelBounds) -> Result<PreparedPicture> {
        self.prepare(&ocellus_media::decode(bytes, &Limits::default())?, bounds)
    }

    /// Cuts a picture into the patches that the model takes. A line reader gets it as one strip of print.
    ///
    /// # Errors
    /// As [`geometry`](Self::geometry).
    pub fn prepare(&self, decoded: &Decoded, bounds: PixelBounds) -> Result<PreparedPicture> {
        let (patches, grid, resized) = match &self.recipe {
            PictureRecipe::Patches(recipe) => cut(patchify(&decoded.image, &within(recipe, bounds)?)?)?,
            PictureRecipe::Strip(recipe) => {
                let recipe = within(recipe, bounds)?;
                cut(patchify_exact(
                    &line_of(&decoded.image, recipe.factor()),
                    &recipe,
                )?)?
            }
            PictureRecipe::Planes(recipe) => {
                check(bounds)?;
                let pixels = recipe.apply(&decoded.image)?;
                let shape = (1, 3, pixels.height, pixels.width);
                let planes = Tensor::from_vec(pixels.values, shape, &Device::Cpu)?;
                let side = self.facts.patch_size;
                let (patches, grids) = patch_rows(&planes, side, None)?;
                let grid = grids[0];
                (patches, grid, ((grid.w * side) as u32, (grid.h * side) as u32))
            }
            PictureRecipe::Regions { .. } => return Err(ProcessorError::RegionsOnly),
        };
        Ok(PreparedPicture {
            patches,
            geometry: PictureGeometry {
                original: decoded.original,
                oriented: decoded.oriented,
                resized,
                grid,
                tokens: self.tokens(&grid),
            },
        })
    }

    /// A strip that is as high as one visual token already.
    ///
    /// # Errors
    /// Sides that are not multiples of a visual token's.
    pub fn prepare_strip(&self, line: &Rgb) -> Result<PreparedPicture> {
        let PictureRecipe::Strip(recipe) = &self.recipe else {
            return Err(ProcessorError::NotALineReader);
        };
        let size = (line.width, line.height);
        let (patches, grid, resized) = cut(patchify_exact(line, recipe)?)?;
        Ok(PreparedPicture {
            patches,
            geometry: PictureGeometry {
                original: size,
                oriented: size,
                resized,
                grid,
                tokens: self.tokens(&grid),
            },
        })
    }

    /// Visual tokens of a picture of this grid in a prompt.
    pub fn tokens(&self, grid: &Grid) -> usize {
        match self.tokens {
            PictureTokens::Rows { ends } => {
                self.facts.visual_tokens(grid) + ends * grid.h / self.facts.merge.max(1)
            }
            PictureTokens::Fixed(count) => count,
        }
    }
}

/// The tensor owns the values: they are not copied.
fn cut(patches: ocellus_media::Patches) -> Result<(Tensor, Grid, (u32, u32))> {
    let shape = (patches.grid.patches(), patches.features);
    let tensor = Tensor::from_vec(patches.values, shape, &Device::Cpu)?;
    Ok((tensor, patches.grid, patches.resized))
}

fn within(recipe: &Recipe, bounds: PixelBounds) -> Result<Recipe> {
    let recipe = Recipe {
        min_pixels: bounds.min_pixels.unwrap_or(recipe.min_pixels),
        max_pixels: bounds.max_pixels.unwrap_or(recipe.max_pixels),
        ..recipe.clone()
    };
    check(PixelBounds {
        min_pixels: Some(recipe.min_pixels),
        max_pixels: Some(recipe.max_pixels),
    })?;
    Ok(recipe)
}

fn check(bounds: PixelBounds) -> Result<()> {
    match (bounds.min_pixels, bounds.max_pixels) {
        (Some(min), Some(max)) if min > max => Err(ProcessorError::PixelBounds { min, max }),
        _ => Ok(()),
    }
}

fn line_of(image: &Rgb, height: u32) -> Rgb {
    let line = strip::normalise(&strip::luma(image));
    let line = strip::to_height(&line, height, height * STRIP_TOKENS);
    strip::pad_right(&line, height).to_rgb()
}
