use super::*;
use crate::{WEB_MEAN, WEB_STD};

const SHORT: PixelRecipe = PixelRecipe {
    resize: Resize::ShorterSide { to: 224 },
    crop: Some((224, 224)),
    crop_to_even: false,
    filter: Filter::Bicubic8,
    rescale: 1.0 / 255.0,
    mean: WEB_MEAN,
    std: WEB_STD,
};

fn with(resize: Resize, crop: Option<(u32, u32)>) -> PixelRecipe {
    PixelRecipe {
        resize,
        crop,
        ..SHORT
    }
}

fn square(side: u32) -> Resize {
    Resize::Exact {
        height: side,
        width: side,
    }
}

fn bounded(shorter: u32, multiple: u32) -> Resize {
    Resize::ShorterSideBounded {
        shorter,
        bound: (1333, 800),
        multiple,
    }
}

fn longer(longest: u32, patch: u32) -> Resize {
    Resize::LongerSide { longest, patch }
}

#[test]
fn an_empty_file_changes_nothing() {
    for resize in [SHORT.resize, square(384), bounded(384, 32), longer(1024, 16)] {
        let recipe = with(resize, None);
        assert_eq!(PixelRecipe::from_json("{}", recipe.clone()), Ok(recipe));
    }
}

#[test]
fn sizes_as_files_of_all_ages_state_them() {
    let short = |to| Resize::ShorterSide { to };
    for (text, from, to) in [
        (r#"{"size": 336}"#, short(224), short(336)),
        (r#"{"size": {"shortest_edge": 336}}"#, short(224), short(336)),
        (
            r#"{"size": {"height": 336, "width": 336}}"#,
            short(224),
            square(336),
        ),
        (
            r#"{"size": 336, "default_to_square": true}"#,
            short(224),
            square(336),
        ),
        (r#"{"size": 480}"#, square(384), square(480)),
        (r#"{"size": [480, 480]}"#, square(384), square(480)),
        (r#"{"size": {"shortest_edge": 480}}"#, square(384), short(480)),
        (
            r#"{"size": {"height": 480, "width": 480, "longest_edge": null}}"#,
            square(384),
            square(480),
        ),
        (
            r#"{"size_divisor": 32, "do_pad": true}"#,
            square(384),
            square(384),
        ),
        (
            r#"{"size": 96, "size_divisor": 16}"#,
            bounded(384, 32),
            bounded(96, 16),
        ),
        (
            r#"{"size": {"shortest_edge": 96}, "do_pad": false}"#,
            bounded(384, 32),
            bounded(96, 32),
        ),
        (
            r#"{"size": {"longest_edge": 64}, "patch_size": 8}"#,
            longer(1024, 16),
            longer(64, 8),
        ),
        (
            r#"{"size": {"height": 64, "width": 64}, "patch_size": {"height": 8, "width": 8}}"#,
            longer(1024, 16),
            longer(64, 8),
        ),
        (
            r#"{"size": 64, "patch_size": [8, 8]}"#,
            longer(1024, 16),
            longer(64, 8),
        ),
        (
            r#"{"do_resize": false, "size": 64}"#,
            longer(1024, 16),
            Resize::Keep,
        ),
        (r#"{"do_resize": null}"#, square(384), Resize::Keep),
    ] {
        let found = PixelRecipe::from_json(text, with(from, None));
        assert_eq!(found.map(|recipe| recipe.resize), Ok(to), "{text}");
    }
}

#[test]
fn cuts() {
    for (text, default, expected) in [
        ("{}", Some((224, 224)), Some((224, 224))),
        (r#"{"crop_size": 96}"#, Some((224, 224)), Some((96, 96))),
        (
            r#"{"crop_size": {"height": 9, "width": 8}}"#,
            Some((224, 224)),
            Some((9, 8)),
        ),
        (
            r#"{"do_center_crop": false, "crop_size": 96}"#,
            Some((224, 224)),
            None,
        ),
        (r#"{"do_center_crop": null}"#, Some((224, 224)), None),
        (
            r#"{"do_center_crop": true, "crop_size": 96}"#,
            None,
            Some((96, 96)),
        ),
        (r#"{"do_center_crop": true}"#, Some((224, 224)), Some((224, 224))),
        (r#"{"crop_size": 96}"#, None, None),
        (r#"{"crop_size": null, "do_center_crop": null}"#, None, None),
    ] {
        let found = PixelRecipe::from_json(text, with(SHORT.resize, default));
        assert_eq!(found.map(|recipe| recipe.crop), Ok(expected), "{text}");
    }
}

#[test]
fn levels() {
    let recipe = PixelRecipe::from_json(
        r#"{"image_mean": [0.5, 0.25, 0], "image_std": [1, 2, 4], "rescale_factor": 0.5, "resample": 2,
            "do_convert_rgb": null, "processor_class": "P", "data_format": "channels_first"}"#,
        SHORT,
    );
    let expected = PixelRecipe {
        filter: Filter::Bilinear8,
        rescale: 0.5,
        mean: [0.5, 0.25, 0.0],
        std: [1.0, 2.0, 4.0],
        ..SHORT
    };
    assert_eq!(recipe, Ok(expected));
    let text =
        r#"{"do_rescale": false, "do_normalize": false, "image_mean": [1, 1, 1], "rescale_factor": 2}"#;
    let raw = PixelRecipe::from_json(text, SHORT).unwrap();
    assert_eq!((raw.rescale, raw.mean, raw.std), (1.0, [0.0; 3], [1.0; 3]));
}

#[test]
fn errors_name_the_field() {
    for (text, resize, name) in [
        (r#"{"do_convert_rgb": false}"#, SHORT.resize, "do_convert_rgb"),
        (r#"{"do_normalize": 1}"#, SHORT.resize, "do_normalize"),
        (r#"{"do_center_crop": "yes"}"#, SHORT.resize, "do_center_crop"),
        (r#"{"do_center_crop": true}"#, SHORT.resize, "crop_size"),
        (r#"{"resample": 1}"#, SHORT.resize, "resample"),
        (r#"{"resample": "bicubic"}"#, SHORT.resize, "resample"),
        (r#"{"image_std": [0.5, 0.5, 0]}"#, SHORT.resize, "image_std"),
        (r#"{"rescale_factor": -1}"#, SHORT.resize, "rescale_factor"),
        (r#"{"size": {"longest_edge": 9}}"#, SHORT.resize, "size"),
        (
            r#"{"size": {"shortest_edge": 9, "longest_edge": 9}}"#,
            SHORT.resize,
            "size",
        ),
        (r#"{"size": {"height": 9}}"#, SHORT.resize, "size"),
        (
            r#"{"size": {"max_height": 9, "max_width": 9}}"#,
            SHORT.resize,
            "size.max_height",
        ),
        (r#"{"size": "large"}"#, SHORT.resize, "size"),
        (r#"{"size": 0}"#, SHORT.resize, "size"),
        (
            r#"{"size": {"shortest_edge": 1e9}}"#,
            SHORT.resize,
            "size.shortest_edge",
        ),
        (
            r#"{"crop_size": {"shortest_edge": 9}}"#,
            SHORT.resize,
            "crop_size",
        ),
        (r#"{"size_divisor": 32}"#, SHORT.resize, "size_divisor"),
        (r#"{"size_divisor": 30}"#, square(384), "size_divisor"),
        (r#"{"size": {"height": 9, "width": 9}}"#, bounded(384, 32), "size"),
        (r#"{"size_divisor": 0}"#, bounded(384, 32), "size_divisor"),
        (r#"{"patch_size": 16}"#, square(384), "patch_size"),
        (
            r#"{"patch_size": {"height": 8, "width": 16}}"#,
            longer(64, 8),
            "patch_size",
        ),
        (r#"{"size": {"height": 8, "width": 16}}"#, longer(64, 8), "size"),
        (r#"{"size": {"shortest_edge": 8}}"#, longer(64, 8), "size"),
        (r#"{"pad_size": 16}"#, square(384), "pad_size"),
        (r#"{"sharpen": 0.3}"#, square(384), "sharpen"),
    ] {
        match PixelRecipe::from_json(text, with(resize, None)) {
            Err(MediaError::RecipeField { field, .. }) => assert_eq!(field, name, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    for text in ["", "[]", "null"] {
        let found = PixelRecipe::from_json(text, SHORT);
        assert!(matches!(found, Err(MediaError::RecipeJson { .. })), "{text}");
    }
}

#[test]
fn a_publishers_parameters() {
    let rounded = |longest, patch| Resize::LongerSideRounded { longest, patch };
    for (text, expected) in [
        (r#"{"vision_encoder": {}}"#, rounded(1024, 16)),
        (
            r#"{"dim": 5, "vision_encoder": {"image_size": 64, "patch_size": 8, "dim": 3}}"#,
            rounded(64, 8),
        ),
        (
            r#"{"vision_encoder": {"image_size": 64, "max_image_size": 96, "spatial_merge_size": 2}}"#,
            rounded(96, 32),
        ),
    ] {
        let found = PixelRecipe::from_params(text, with(rounded(1024, 16), None));
        assert_eq!(found.map(|recipe| recipe.resize), Ok(expected), "{text}");
    }
    for text in [
        "{}",
        r#"{"vision_encoder": 3}"#,
        r#"{"vision_encoder": {"patch_size": 0}}"#,
    ] {
        assert!(
            PixelRecipe::from_params(text, with(rounded(1024, 16), None)).is_err(),
            "{text}"
        );
    }
}
