//! Files of preprocessing as programs write them: what is read, what is a warning, what is refused.

use std::fs;
use std::path::Path;

use ocellus_media::{PixelRecipe, Recipe, Resize};
use ocellus_models::families::{find, parse, processor};
use ocellus_models::plan::Shape;
use ocellus_models::{Facts, VisualFormat};
use ocellus_processor::{PictureRecipe, ProcessorError, TextFiles};
use serde_json::{Value, json};

fn shape(case: &str) -> Shape {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens")
        .join(case);
    let config = parse(&fs::read_to_string(path.join("model/config.json")).unwrap()).unwrap();
    (find(&config).unwrap().shape.unwrap())(&config).unwrap()
}

/// The recipe of a folder with these files, and what it warns of.
fn read(
    format: &VisualFormat,
    facts: &Facts,
    files: &[(&str, Value)],
) -> Result<(PictureRecipe, Vec<String>), ProcessorError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in files {
        fs::write(folder.path().join(name), value.to_string()).unwrap();
    }
    let mut warnings = Vec::new();
    let files = TextFiles::Folder(folder.path().into());
    Ok((
        PictureRecipe::read(&files, format, facts, &mut warnings)?,
        warnings,
    ))
}

fn patches(case: &str, files: &[(&str, Value)]) -> (Recipe, Vec<String>) {
    let shape = shape(case);
    match read(&shape.input, &shape.facts, files).unwrap() {
        (PictureRecipe::Patches(recipe), warnings) => (recipe, warnings),
        (other, _) => panic!("{other:?}"),
    }
}

/// As transformers 4.57 saves a fast processor, with what it never uses.
fn of_457() -> Value {
    json!({
        "crop_size": null, "data_format": "channels_first", "default_to_square": true, "device": null, "disable_grouping": null,
        "do_center_crop": null, "do_convert_rgb": true, "do_normalize": true, "do_pad": null, "do_rescale": true,
        "do_resize": true, "image_processor_type": "Qwen2VLImageProcessorFast", "input_data_format": null,
        "max_pixels": 6272, "merge_size": 2, "min_pixels": 3136, "pad_size": null, "patch_size": 4,
        "resample": 3, "return_tensors": null, "size": {"longest_edge": 6272, "shortest_edge": 3136},
        "temporal_patch_size": 2
    })
}

#[test]
fn files_of_every_version_give_one_recipe() {
    let case = "qwen2_5_vl-multi-457";
    let (expected, _) = patches(case, &[("preprocessor_config.json", of_457())]);
    assert_eq!((expected.min_pixels, expected.max_pixels), (3136, 6272));
    let nested = json!({"image_processor": of_457(), "processor_class": "Qwen2_5_VLProcessor"});
    let other = json!({"patch_size": 4, "merge_size": 2, "temporal_patch_size": 2});
    let class_alone = json!({"processor_class": "Qwen2_5_VLProcessor"});
    for files in [
        &[("processor_config.json", nested.clone())][..],
        &[
            ("processor_config.json", nested),
            ("preprocessor_config.json", other),
        ],
        &[
            ("processor_config.json", class_alone),
            ("preprocessor_config.json", of_457()),
        ],
    ] {
        assert_eq!(patches(case, files), (expected.clone(), Vec::new()));
    }
}

#[test]
fn a_field_that_nothing_knows_is_a_warning() {
    let mut file = of_457();
    file["some_new_field"] = json!(7);
    let (_, warnings) = patches(
        "qwen2_5_vl-multi-457",
        &[("preprocessor_config.json", file.clone())],
    );
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("preprocessor_config.json") && warnings[0].contains("`some_new_field`"));
    // What is known and not computed is refused.
    file["do_resize"] = json!(false);
    let shape = shape("qwen2_5_vl-multi-457");
    let error = read(&shape.input, &shape.facts, &[("preprocessor_config.json", file)]).unwrap_err();
    assert!(error.to_string().contains("do_resize"), "{error}");
}

#[test]
fn without_files_pictures_are_prepared_as_the_family_was_published() {
    let (second, _) = patches("qwen2_5_vl-multi-457", &[]);
    let (third, _) = patches("qwen3_vl-multi", &[]);
    assert_eq!((second.min_pixels, second.max_pixels), (56 * 56, 28 * 28 * 1280));
    assert_eq!((third.min_pixels, third.max_pixels), (1 << 16, 1 << 24));
    assert_eq!((third.mean, third.std), ([0.5; 3], [0.5; 3]));
    assert_ne!(second.mean, third.mean);
}

/// Families whose pictures become planes read the same file: what the newest library writes is that alone.
#[test]
fn planes_are_read_from_the_newest_file_as_well() {
    let facts = shape("pixtral-multi-hf").facts;
    for (name, size) in [
        ("clip", json!({"height": 32, "width": 32})),
        ("blip", json!({"height": 32, "width": 32})),
        ("vilt", json!({"shortest_edge": 32})),
        ("pixtral-hf", json!({"longest_edge": 64})),
    ] {
        let default = processor(name).unwrap();
        let file = json!({"image_processor": {
            "do_center_crop": false, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": size,
        }});
        let read = read(
            &VisualFormat::Planes(default.clone()),
            &facts,
            &[("processor_config.json", file)],
        )
        .unwrap();
        let PictureRecipe::Planes(recipe) = read.0 else {
            panic!("{name}: planes");
        };
        assert_eq!(
            (recipe.mean, recipe.std, recipe.crop),
            ([0.5; 3], [0.5; 3], None),
            "{name}"
        );
        assert_ne!(recipe.resize, default.resize, "{name}");
        assert!(read.1.is_empty(), "{name}: {:?}", read.1);
        if name == "clip" {
            let exact = Resize::Exact {
                height: 32,
                width: 32,
            };
            assert_eq!(
                recipe,
                PixelRecipe {
                    resize: exact,
                    ..recipe.clone()
                }
            );
        }
    }
}

#[test]
fn pointers_in_place_of_files_are_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 11422654\n";
    for name in ["config.json", "preprocessor_config.json", "chat_template.jinja"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), pointer).unwrap();
        let error = TextFiles::Folder(folder.path().into())
            .text(name)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(name) && error.contains("Git LFS pointer"),
            "{error}"
        );
    }
    for name in ["tokenizer.json", "vocab.txt", "tokenizer.model", "merges.txt"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), pointer).unwrap();
        let found = TextFiles::Folder(folder.path().into()).tokenizer_and_template();
        let error = found.expect_err("no tokenizer").to_string();
        assert!(
            error.contains(name) && error.contains("Git LFS pointer"),
            "{error}"
        );
    }
}
