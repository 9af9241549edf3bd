//! Input that is wrong on purpose: every case ends with exit code 1, one sentence, one hint, and nothing half-written.

mod checkpoints;
mod pictures;
mod place;

use std::fs;

use serde_json::Value;

use crate::place::{Place, png};

#[test]
fn a_batch_goes_on_after_a_bad_picture() {
    let place = Place::new();
    for name in ["a.png", "c.png"] {
        place.write(name, png(40, 30));
    }
    place.write("b.png", "no picture");
    let outcome = place.run(&[
        "ocr", "a.png", "b.png", "c.png", "--format", "json", "-o", "out.json",
    ]);
    outcome.refused("b.png: not a picture");
    let document: Value = serde_json::from_slice(&fs::read(place.path("out.json")).unwrap()).unwrap();
    let sources: Vec<_> = document["pages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["source"])
        .collect();
    assert_eq!(sources, ["a.png", "c.png"]);
}

#[test]
fn places_that_cannot_be_written() {
    let place = Place::new();
    place.write("dot.png", png(1, 1));
    fs::create_dir(place.path("folder")).unwrap();
    let before = place.files();
    for flag in ["--output", "--draw"] {
        place
            .run(&["ocr", "dot.png", flag, "nowhere/out.png"])
            .refused("nowhere/out.png: cannot write");
        place
            .run(&["ocr", "dot.png", flag, "folder"])
            .refused("folder: cannot write");
    }
    assert_eq!(place.files(), before, "nothing is left behind");
}
