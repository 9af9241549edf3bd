//! The pixel recipes of the two layouts.

use ocellus_media::{Filter, PixelRecipe, Resize};

use super::names::Publication;
use crate::families::planes;
use crate::input::VisualFormat;

/// The recipe of transformers.
pub const LIBRARY: PixelRecipe = planes::web(Resize::LongerSide {
    longest: 1024,
    patch: 16,
});

/// The recipe of the publisher's code.
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
