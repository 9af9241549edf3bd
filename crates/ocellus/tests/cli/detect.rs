//! `ocellus detect` as a user runs it.

use std::path::{Path, PathBuf};

use ocellus_weights::{Regions, Weights};
use serde_json::Value;

use crate::support::Place;

fn goldens(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens")
        .join(name)
}

/// A place with a tiny detector in `model`, for small pictures.
fn place() -> Place {
    let (place, from) = (Place::new(), goldens("frcnn-stages/model"));
    let config = std::fs::read_to_string(from.join("config.yaml")).unwrap();
    let small = config.replace("min_size_test: 800", "min_size_test: 96");
    assert_ne!(config, small);
    place.write("model/config.yaml", small);
    place.write(
        "model/model.safetensors",
        std::fs::read(from.join("model.safetensors")).unwrap(),
    );
    place.write(
        "picture.png",
        std::fs::read(goldens("images/d0_shapes.png")).unwrap(),
    );
    place
}

#[test]
fn regions_go_to_a_file_that_other_commands_read() {
    let place = place();
    place.write(
        "model/objects_vocab.txt",
        "sky,heaven\ngrass\nx\nx\nx\nx\nx\nx\nx\n",
    );
    let arguments = [
        "detect",
        "picture.png",
        "-m",
        "model",
        "-o",
        "regions.safetensors",
        "--format",
        "json",
    ];
    let outcome = place.run(&arguments, &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let listed = told["regions"].as_array().unwrap();

    let path = place.path().join("regions.safetensors");
    let read = Regions::from_file(&path, 128).unwrap();
    assert_eq!(read.len(), listed.len());
    assert_eq!(
        (f64::from(read.image_width), f64::from(read.image_height)),
        (told["width"].as_f64().unwrap(), told["height"].as_f64().unwrap())
    );
    let weights = Weights::from_bytes(std::fs::read(&path).unwrap(), "regions").unwrap();
    let ids = weights.view("objects").unwrap().to_i64().unwrap();
    for (i, region) in listed.iter().enumerate() {
        let corners: Vec<f64> = read.boxes[i].iter().map(|v| f64::from(*v)).collect();
        let found: Vec<f64> = region["bbox"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap())
            .collect();
        for (a, b) in corners.iter().zip(&found) {
            assert!((a - b).abs() < 1e-3, "{corners:?} {found:?}");
        }
        assert_eq!(region["object"]["id"].as_i64(), Some(ids[i]));
        let label = ["sky", "grass", "x"][usize::try_from(ids[i]).unwrap().min(2)];
        assert_eq!(region["object"]["label"], label);
        assert_eq!(region["attribute"]["label"], Value::Null);
    }

    let outcome = place.run(&["detect", "picture.png", "-m", "model"], &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert_eq!(outcome.stdout.lines().count(), listed.len() + 1);
    assert!(outcome.stdout.starts_with("object"), "{}", outcome.stdout);
}

#[test]
fn several_pictures_have_a_file_and_a_drawing_each() {
    let place = place();
    std::fs::copy(place.path().join("picture.png"), place.path().join("other.png")).unwrap();
    let arguments = [
        "detect",
        "picture.png",
        "other.png",
        "-m",
        "model",
        "-o",
        "out/",
        "--draw",
        "drawn/",
        "--format",
        "json",
    ];
    let outcome = place.run(&arguments, &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let told: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        [&told[0]["source"], &told[1]["source"]],
        ["picture.png", "other.png"]
    );
    assert!(told[0]["height"].is_u64(), "{}", told[0]["height"]);
    let read = |name: &str| std::fs::read(place.path().join(name)).unwrap();
    assert_eq!(read("out/picture.safetensors"), read("out/other.safetensors"));
    let (drawn, before) = (read("drawn/other.png"), read("other.png"));
    assert!(drawn.starts_with(b"\x89PNG") && drawn != before);
}

#[test]
fn its_folder_is_shown() {
    let place = place();
    let outcome = place.run(&["models", "show", "./model"], &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert!(outcome.stdout.contains("roi_heads"), "{}", outcome.stdout);
}

#[test]
fn what_cannot_be_says_so() {
    let place = place();
    for (arguments, message, hint) in [
        (&["detect", "picture.png"][..], "cannot find regions", "frcnn"),
        (&["detect", "model/config.yaml", "-m", "model"], "config.yaml", ""),
        (
            &["detect", "picture.png", "-m", "model", "-o", "none/x.safetensors"],
            "none",
            "",
        ),
        (
            &["caption", "picture.png", "-m", "model"],
            "takes no text",
            "ocellus detect",
        ),
    ] {
        let outcome = place.run(arguments, &[]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(hint), "{}", outcome.stderr);
    }
}
