//! Pixel recipes of families that take whole pictures as planes, and text forms: constants of the published processors.

use ocellus_media::{Filter, PixelRecipe, Resize, WEB_MEAN, WEB_STD};
use ocellus_text::TextForm;

use crate::input::VisualFormat;

/// Bicubic resize and the mean and deviation of web pictures.
pub(super) const fn web(resize: Resize) -> PixelRecipe {
    PixelRecipe {
        resize,
        crop: None,
        crop_to_even: false,
        filter: Filter::Bicubic8,
        rescale: 1.0 / 255.0,
        mean: WEB_MEAN,
        std: WEB_STD,
    }
}

/// Bicubic resize, values scaled to -1..1.
pub(super) const fn halves(resize: Resize) -> PixelRecipe {
    PixelRecipe {
        mean: [0.5; 3],
        std: [0.5; 3],
        ..web(resize)
    }
}

/// Resizes every picture to a square.
pub(super) const fn square(side: u32) -> Resize {
    Resize::Exact {
        height: side,
        width: side,
    }
}

/// The recipe at the picture size that a position table of these rows and columns was made for.
pub(super) fn sized(recipe: PixelRecipe, (rows, columns): (usize, usize), patch: usize) -> VisualFormat {
    let (height, width) = ((rows * patch) as u32, (columns * patch) as u32);
    VisualFormat::Planes(match recipe.resize {
        Resize::ShorterSide { .. } => PixelRecipe {
            resize: Resize::ShorterSide {
                to: height.min(width),
            },
            crop: recipe.crop.map(|_| (height, width)),
            ..recipe
        },
        Resize::ShorterSideBounded { bound, multiple, .. } => PixelRecipe {
            resize: Resize::ShorterSideBounded {
                shorter: height.min(width),
                bound,
                multiple,
            },
            ..recipe
        },
        _ => PixelRecipe {
            resize: Resize::Exact { height, width },
            ..recipe
        },
    })
}

/// `[CLS] text [SEP]`.
pub(super) const SENTENCE: TextForm = TextForm {
    first: Some("[CLS]"),
    last: Some("[SEP]"),
    ..TextForm::BARE
};

/// A form with a maximum length of `most` tokens.
pub(super) fn within(form: TextForm, most: usize) -> TextForm {
    TextForm {
        max_tokens: Some(most),
        ..form
    }
}
