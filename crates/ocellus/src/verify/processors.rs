//! The processors that cases name, as the recipes that they are before a checkpoint's file changes their numbers.

use ocellus_media::{Filter, PixelRecipe, Resize, WEB_MEAN, WEB_STD};

/// The one place where a name becomes a recipe; `None` for a processor of patch rows, which a file describes in full.
pub fn recipe_of(processor: &str) -> Option<PixelRecipe> {
    let recipe = |resize| PixelRecipe {
        resize,
        crop: None,
        filter: Filter::Bicubic8,
        rescale: 1.0 / 255.0,
        mean: WEB_MEAN,
        std: WEB_STD,
    };
    let halves = |resize| PixelRecipe {
        mean: [0.5; 3],
        std: [0.5; 3],
        ..recipe(resize)
    };
    let square = |side| Resize::Exact {
        height: side,
        width: side,
    };
    let (longest, patch) = (1024, 16);
    Some(match processor {
        "clip" => PixelRecipe {
            crop: Some((224, 224)),
            ..recipe(Resize::ShorterSide { to: 224 })
        },
        "blip" | "albef" => recipe(square(384)),
        "blip_2" => recipe(square(224)),
        "qwen_vl" => recipe(square(448)),
        "vlmo" => halves(square(224)),
        "vilt" => halves(Resize::ShorterSideBounded {
            shorter: 384,
            bound: (1333, 800),
            multiple: 32,
        }),
        "pixtral-hf" => recipe(Resize::LongerSide { longest, patch }),
        "pixtral-mistral" => PixelRecipe {
            filter: Filter::CubicF32,
            ..recipe(Resize::LongerSideRounded { longest, patch })
        },
        _ => return None,
    })
}
