//! How pictures are prepared.

use ocellus_media::{PixelRecipe, Resize};

use crate::families::planes;

/// The published recipe: resize the shorter side to the tower's size, then crop the centre.
pub(super) const RECIPE: PixelRecipe = PixelRecipe {
    crop: Some((224, 224)),
    ..planes::web(Resize::ShorterSide { to: 224 })
};
