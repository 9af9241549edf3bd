//! How pictures are scaled, by who wrote the checkpoint.

use ocellus_media::{Filter, PixelRecipe, Resize};

use super::names::Publication;
use crate::families::planes;
use crate::input::VisualFormat;

/// Pictures as the library scales them.
pub const LIBRARY: PixelRecipe = planes::web(Resize::LongerSide {
    longest: 1024,
    patch: 16,
});

/// Pictures as the publisher scales them.
pub const PUBLISHER: PixelRecipe = PixelRecipe {
    filter: Filter::CubicF32,
    ..planes::web(Resize::LongerSideRounded {
        longest: 1024,
        patch: 16,
    })
};

pub fn visual_format(layout: Publication, longest: usize, patch_size: usize) -> VisualFormat {
    let patch = patch_size as u32;
    let longest = (longest as u32).saturating_mul(patch);
    VisualFormat::Planes(match layout {
        Publication::Library => PixelRecipe {
            resize: Resize::LongerSide { longest, patch },
            ..LIBRARY
        },
        Publication::Publisher => PixelRecipe {
            resize: Resize::LongerSideRounded { longest, patch },
            ..PUBLISHER
        },
    })
}
