//! Files to normalised planes, against the published processors.

mod golden;

use std::collections::BTreeSet;

use golden::{Case, levels, read, root};
use ocellus_media::{
    Filter, Limits, MediaError, PixelRecipe, Pixels, Resize, Rgb, WEB_MEAN, WEB_STD, decode, pad_batch,
};
use proptest::prelude::*;

/// What the published processors do when their file says nothing.
fn processor(resize: Resize) -> PixelRecipe {
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

fn configured(case: &Case, default: PixelRecipe) -> PixelRecipe {
    let text = String::from_utf8(read(&case.folder.join("model/preprocessor_config.json"))).expect("UTF-8");
    PixelRecipe::from_json(&text, default).expect("a recipe that we honour")
}

fn pixels(file: &str, recipe: &PixelRecipe) -> Result<Pixels, MediaError> {
    let picture = decode(&read(&root().join("images").join(file)), &Limits::default()).expect(file);
    recipe.apply(&picture.image)
}

fn mean_and_deviation(values: &[f32]) -> [f32; 2] {
    let count = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count;
    [mean as f32, variance.sqrt() as f32]
}

/// Compares the values under `name`; false when `what` is no name of values.
fn check_values(case: &Case, name: &str, what: &str, values: &[f32]) -> bool {
    match (what, what.strip_prefix("pixel_values_every_")) {
        ("pixel_values", _) => case.check_floats(name, values),
        ("mean_std", _) => case.check_floats(name, &mean_and_deviation(values)),
        (_, Some(step)) => {
            let step = step.parse().expect("a number");
            let sample: Vec<f32> = values.iter().copied().step_by(step).collect();
            case.check_floats(name, &sample);
        }
        _ => return false,
    }
    true
}

fn check_files(case: &str, recipe: impl Fn(&Case) -> PixelRecipe, stages_of_a_file: usize) {
    let case = Case::open(case);
    let recipe = recipe(&case);
    let stages = case.stages();
    let files: BTreeSet<&str> = stages
        .iter()
        .filter_map(|stage| Some(stage.split_once('/')?.0))
        .filter(|file| *file != "batch")
        .collect();
    assert_eq!(files.len(), 11);
    for file in files {
        let names: Vec<&str> = stages
            .iter()
            .copied()
            .filter(|stage| stage.strip_prefix(file).is_some_and(|rest| rest.starts_with('/')))
            .collect();
        if names == [format!("{file}/refused")] {
            let refused = pixels(file, &recipe);
            assert!(
                matches!(refused, Err(MediaError::SideVanishes { .. })),
                "{file}: {refused:?}"
            );
            continue;
        }
        assert_eq!(names.len(), stages_of_a_file, "{file}");
        let pixels = pixels(file, &recipe).unwrap_or_else(|error| panic!("{file}: {error}"));
        let (height, width) = (pixels.height as i64, pixels.width as i64);
        for name in names {
            let what = &name[file.len() + 1..];
            match what {
                "shape" => case.check_integers(name, &[3, height, width]),
                "size" | "image_sizes" => case.check_integers(name, &[height, width]),
                "grid_wh" => case.check_integers(name, &[width / 16, height / 16]),
                // Each row of the grid ends with a token, which does not concern pixels.
                "n_tokens" => {}
                _ => assert!(
                    check_values(&case, name, what, &pixels.values),
                    "{name}: not known"
                ),
            }
        }
    }
}

/// The stages `batch/…`, for a batch that the case names.
fn check_batch(case: &str, default: PixelRecipe) {
    let case = Case::open(case);
    let recipe = configured(&case, default);
    let files = case.json["options"]["batch"].as_array().expect("a batch");
    let files = files
        .iter()
        .map(|file| pixels(file.as_str().expect("a file"), &recipe));
    let batch = pad_batch(&files.collect::<Result<Vec<_>, _>>().expect("pictures"));
    let sides = |sizes: &[(usize, usize)]| -> Vec<i64> {
        sizes
            .iter()
            .flat_map(|size| [size.0 as i64, size.1 as i64])
            .collect()
    };
    let mut compared = 0;
    for name in case.stages() {
        let Some(what) = name.strip_prefix("batch/") else {
            continue;
        };
        let shape = [batch.sizes.len(), 3, batch.height, batch.width].map(|side| side as i64);
        match what {
            "shape" => case.check_integers(name, &shape),
            "image_sizes" | "pixel_mask_rows_cols" => case.check_integers(name, &sides(&batch.sizes)),
            "pixel_mask_area" => {
                let mask = batch.mask();
                let areas = mask.chunks_exact(batch.height * batch.width);
                let areas: Vec<i64> = areas.map(|m| m.iter().map(|v| i64::from(*v)).sum()).collect();
                case.check_integers(name, &areas);
            }
            _ => assert!(
                check_values(&case, name, what, &batch.values),
                "{name}: not known"
            ),
        }
        compared += 1;
    }
    assert!(compared >= 3, "{compared} stages of the batch");
}

const SHORTER_384: Resize = Resize::ShorterSideBounded {
    shorter: 384,
    bound: (1333, 800),
    multiple: 32,
};
const LONGER_1024: Resize = Resize::LongerSide {
    longest: 1024,
    patch: 16,
};

/// Other numbers than the case's file has: every one must come from the file.
const SQUARE_64: Resize = Resize::Exact {
    height: 64,
    width: 64,
};

#[test]
fn the_shorter_side_and_the_centre() {
    let centre = PixelRecipe {
        crop: Some((64, 64)),
        ..processor(Resize::ShorterSide { to: 64 })
    };
    check_files("clip-preprocess", |case| configured(case, centre.clone()), 3);
}

#[test]
fn a_square() {
    check_files(
        "blip-preprocess",
        |case| configured(case, processor(SQUARE_64)),
        3,
    );
}

#[test]
fn the_shorter_side_with_a_bound_and_a_mask() {
    check_files(
        "vilt-preprocess",
        |case| configured(case, processor(SHORTER_384)),
        4,
    );
    check_batch("vilt-preprocess", processor(SHORTER_384));
}

#[test]
fn the_longer_side_and_a_batch() {
    check_files(
        "pixtral-preprocess-hf",
        |case| configured(case, processor(LONGER_1024)),
        4,
    );
    check_batch("pixtral-preprocess-hf", processor(LONGER_1024));
}

#[test]
fn the_longer_side_in_floats() {
    let recipe = |case: &Case| {
        let text = String::from_utf8(read(&case.folder.join("model/params.json"))).expect("UTF-8");
        let rule = Resize::LongerSideRounded {
            longest: 64,
            patch: 8,
        };
        let floats = PixelRecipe {
            filter: Filter::CubicF32,
            ..processor(rule)
        };
        PixelRecipe::from_params(&text, floats).expect("parameters that we honour")
    };
    check_files("pixtral-preprocess-mistral", recipe, 5);
}

#[test]
fn lossless_pictures_equal_pillow_to_the_last_level() {
    for (name, rule) in [
        ("blip-preprocess", SQUARE_64),
        ("vilt-preprocess", SHORTER_384),
        ("pixtral-preprocess-hf", LONGER_1024),
    ] {
        let case = Case::open(name);
        let recipe = configured(&case, processor(rule));
        for stage in case.stages() {
            let Some((file, step)) = stage.split_once("/pixel_values_every_") else {
                continue;
            };
            if file.ends_with(".jpg") || file == "batch" {
                continue;
            }
            let pixels = pixels(file, &recipe).expect(file);
            let found = pixels.values.iter().step_by(step.parse().expect("a number"));
            for (at, (found, expected)) in found.zip(case.floats(stage)).enumerate() {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{name}, {stage}[{at}]: {expected} != {found}"
                );
            }
        }
    }
}

/// Levels as they are, as planes.
fn plain(filter: Filter, width: usize, height: usize) -> PixelRecipe {
    PixelRecipe {
        rescale: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
        filter,
        ..processor(Resize::Exact {
            height: height as u32,
            width: width as u32,
        })
    }
}

#[test]
fn other_filters_equal_their_references() {
    let case = Case::open("../pixels/resize-filters");
    let inputs = read(&case.folder.join("inputs.safetensors"));
    for stage in case.stages() {
        let (source, rest) = stage.split_once('/').expect("source/target/filter");
        let (target, filter) = rest.split_once('/').expect("target/filter");
        let (from, data) = levels(&inputs, source);
        let picture = Rgb::new(from[1] as u32, from[0] as u32, data).expect(source);
        let (width, height) = target.split_once('x').expect("width x height");
        let (width, height) = (width.parse().expect("a width"), height.parse().expect("a height"));
        let (recipe, expected, allowed) = match filter {
            "linear" => {
                let levels = case.levels(stage).1.into_iter().map(f32::from).collect();
                (plain(Filter::Bilinear8, width, height), levels, 0.0)
            }
            _ => (plain(Filter::CubicF32, width, height), case.floats(stage), 0.01),
        };
        let pixels = recipe.apply(&picture).expect(stage);
        assert_eq!((pixels.height, pixels.width), (height, width), "{stage}");
        assert_eq!(expected.len(), pixels.values.len(), "{stage}");
        for (at, expected) in expected.into_iter().enumerate() {
            let (pixel, channel) = (at / 3, at % 3);
            let found: f32 = pixels.values[channel * width * height + pixel];
            assert!(
                (found - expected).abs() <= allowed,
                "{stage}[{at}]: expected {expected}, found {found}"
            );
        }
    }
}

fn rules() -> impl Strategy<Value = Resize> {
    let side = 1u32..80;
    prop_oneof![
        Just(Resize::Keep),
        (side.clone(), side.clone()).prop_map(|(height, width)| Resize::Exact { height, width }),
        side.clone().prop_map(|to| Resize::ShorterSide { to }),
        (side.clone(), 1u32..9).prop_map(|(shorter, multiple)| Resize::ShorterSideBounded {
            shorter,
            bound: (1333, 800),
            multiple,
        }),
        (side.clone(), 1u32..9).prop_map(|(longest, patch)| Resize::LongerSide { longest, patch }),
        (side, 1u32..9).prop_map(|(longest, patch)| Resize::LongerSideRounded { longest, patch }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the picture and the rule: a refusal, or as many finite numbers as promised.
    #[test]
    fn values_are_finite_and_as_many_as_promised(
        (width, height) in (1u32..70, 1u32..70),
        rule in rules(),
        crop in proptest::option::of((1u32..40, 1u32..40)),
        filter in prop_oneof![Just(Filter::Bicubic8), Just(Filter::Bilinear8), Just(Filter::CubicF32)],
        seed in any::<u8>(),
    ) {
        let data = (0..width * height * 3).map(|at| (at * 31 + at / 7 + u32::from(seed)) as u8).collect();
        let picture = Rgb::new(width, height, data).expect("as long as it should be");
        let recipe = PixelRecipe { crop, filter, ..processor(rule) };
        match (recipe.apply(&picture), recipe.size(height, width)) {
            (Ok(pixels), Ok(size)) => {
                prop_assert_eq!((pixels.height as u32, pixels.width as u32), size);
                prop_assert_eq!(pixels.values.len(), 3 * pixels.height * pixels.width);
                prop_assert!(pixels.values.iter().all(|value| value.is_finite()));
                if let (Some(multiple), None) = (rule.multiple(), crop) {
                    prop_assert!(size.0.is_multiple_of(multiple) && size.1.is_multiple_of(multiple));
                }
            }
            (Err(error), Err(expected)) => prop_assert_eq!(error, expected),
            (found, size) => prop_assert!(false, "{found:?}, but the size {size:?}"),
        }
    }
}
