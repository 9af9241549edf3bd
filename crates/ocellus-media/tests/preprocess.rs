//! Files and frames to patches, against the published processors.

mod golden;

use std::collections::BTreeSet;

use golden::{Case, levels, read, root};
use ocellus_media::{Limits, Patches, Recipe, Rgb, decode, patchify, patchify_frames, smart_resize};

fn recipe(case: &Case) -> Recipe {
    let text = String::from_utf8(read(&case.folder.join("model/preprocessor_config.json"))).expect("UTF-8");
    Recipe::from_json(&text).expect("a recipe that we honour")
}

/// Compares every stage that begins with `file/`.
fn check(case: &Case, file: &str, patches: &Patches) {
    let grid = [patches.grid.t, patches.grid.h, patches.grid.w].map(|side| side as i64);
    let mut compared = 0;
    for stage in case.stages() {
        let Some(what) = stage.strip_prefix(file).and_then(|rest| rest.strip_prefix('/')) else {
            continue;
        };
        match what {
            "image_grid_thw" | "video_grid_thw" => case.check_integers(stage, &grid),
            "shape" => {
                let rows = patches.values.len() / patches.features;
                case.check_integers(stage, &[rows as i64, patches.features as i64]);
            }
            "mean_std" => case.check_floats(stage, &mean_and_deviation(&patches.values)),
            "pixel_values" => case.check_floats(stage, &patches.values),
            _ => {
                let step = what
                    .strip_prefix("pixel_values_every_")
                    .and_then(|step| step.parse().ok());
                let step = step.unwrap_or_else(|| panic!("{stage}: a stage this test does not know"));
                let values: Vec<f32> = patches.values.iter().copied().step_by(step).collect();
                case.check_floats(stage, &values);
            }
        }
        compared += 1;
    }
    assert_eq!(compared, 4, "{file}: number of stages compared");
}

fn mean_and_deviation(values: &[f32]) -> [f32; 2] {
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2))
        .sum::<f64>()
        / count;
    [mean as f32, variance.sqrt() as f32]
}

fn check_files(case: &str) {
    let case = Case::open(case);
    let recipe = recipe(&case);
    let files: BTreeSet<&str> = case
        .stages()
        .iter()
        .filter_map(|stage| Some(stage.split_once('/')?.0))
        .collect();
    assert_eq!(files.len(), 11);
    for file in files {
        let picture = decode(&read(&root().join("images").join(file)), &Limits::default());
        let picture = picture.unwrap_or_else(|error| panic!("{file}: {error}"));
        let patches = patchify(&picture.image, &recipe).unwrap_or_else(|error| panic!("{file}: {error}"));
        check(&case, file, &patches);
    }
}

#[test]
fn pictures_equal_the_pillow_processor() {
    check_files("qwen2_vl-preprocess-pil");
}

#[test]
fn pictures_equal_the_torchvision_processor() {
    check_files("qwen2_vl-preprocess-torchvision");
}

#[test]
fn lossless_pictures_equal_the_pillow_processor_to_the_last_level() {
    let case = Case::open("qwen2_vl-preprocess-pil");
    let recipe = recipe(&case);
    for stage in case.stages() {
        let Some((file, step)) = stage.split_once("/pixel_values_every_") else {
            continue;
        };
        if file.ends_with(".jpg") {
            continue;
        }
        let picture = decode(&read(&root().join("images").join(file)), &Limits::default()).expect(file);
        let patches = patchify(&picture.image, &recipe).expect(file);
        let found = patches.values.iter().step_by(step.parse().expect("a number"));
        for (at, (found, expected)) in found.zip(case.floats(stage)).enumerate() {
            // A level is at least 0.014 wide: this is the same level, normalised in another order.
            assert!(
                (found - expected).abs() < 1e-5,
                "{stage}[{at}]: expected {expected}, found {found}"
            );
        }
    }
}

#[test]
fn end_to_end_pictures_equal_the_stored_pixels() {
    for name in ["qwen2_vl-end-to-end", "qwen2_5_vl-end-to-end"] {
        let case = Case::open(name);
        let recipe = recipe(&case);
        let inputs = read(&case.folder.join("inputs.safetensors"));
        let files = case.json["options"]["image_files"]
            .as_array()
            .expect("image_files is a list");
        let mut found = Vec::new();
        for file in files {
            let file = file.as_str().expect("a file name");
            let picture = decode(&read(&root().join(file)), &Limits::default()).expect(file);
            found.extend(patchify(&picture.image, &recipe).expect(file).values);
        }
        let expected = golden::floats(&inputs, "pixel_values");
        assert_eq!(found.len(), expected.len(), "{name}");
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(
                (found - expected).abs() <= 0.0153,
                "{name}[{at}]: expected {expected}, found {found}"
            );
        }
    }
}

#[test]
fn videos_equal_the_published_processor() {
    let case = Case::open("qwen2_vl-preprocess-video");
    let recipe = recipe(&case);
    let inputs = read(&case.folder.join("inputs.safetensors"));
    for name in ["video_0", "video_1"] {
        let (shape, data) = levels(&inputs, name);
        let [_, 3, height, width] = shape[..] else {
            panic!("{name}: {shape:?}")
        };
        let frames: Vec<Rgb> = data
            .chunks_exact(3 * height * width)
            .map(|planes| {
                let area = height * width;
                let pixels = (0..area).flat_map(|at| [planes[at], planes[area + at], planes[2 * area + at]]);
                Rgb::new(width as u32, height as u32, pixels.collect()).expect("a frame")
            })
            .collect();
        assert_eq!(frames.len(), shape[0]);
        check(&case, name, &patchify_frames(&frames, &recipe).expect(name));
    }
}

#[test]
fn target_sizes_equal_the_published_rule() {
    let case = Case::open("qwen2_vl-resize-rules");
    let sizes = golden::integers(&read(&case.folder.join("inputs.safetensors")), "hw");
    assert_eq!(sizes.len(), 80);
    for (rule, min, max) in [
        ("qwen_default", 3136, 1_003_520),
        ("qwen_hub", 3136, 12_845_056),
        ("qwen_small", 200_704, 401_408),
    ] {
        let expected = case.integers(rule);
        for (size, expected) in sizes.chunks_exact(2).zip(expected.chunks_exact(2)) {
            let found = match smart_resize(size[0] as u32, size[1] as u32, 28, min, max) {
                Ok((height, width)) => [i64::from(height), i64::from(width)],
                Err(_) => [-1, -1],
            };
            assert_eq!(found, expected, "{rule}: {size:?} (height, width)");
        }
    }
}
