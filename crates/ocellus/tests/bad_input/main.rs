//! Input that is wrong on purpose: every case ends with exit code 1, one sentence, one hint, and nothing half-written.

mod calibration;
// Also what the tests of the commands that work stand on; each program uses a part of it.
#[allow(dead_code)]
#[path = "../cli/checkpoints.rs"]
mod checkpoints;
mod damaged;
mod families;
mod pictures;
mod place;
mod strict;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::place::{Place, goldens, png};

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
            .run(&["ocr", "dot.png", flag, "dot.png/out.png"])
            .refused("dot.png/out.png: cannot write");
    }
    assert_eq!(place.files(), before, "nothing is left behind");
}

/// What a shell's `*` finds beside cases is named and left out; what is meant to be a case, or the only thing named, is not.
#[test]
fn what_stands_beside_cases() {
    let place = Place::new();
    let case = place.path("a-case");
    copy(&goldens().join("qwen2_vl-pos-523"), &case);
    place.write("README.md", "about these cases");
    fs::create_dir(place.path("pictures")).unwrap();
    place.write("pictures/a.png", png(1, 1));
    let set = place.run(&["verify", "README.md", "a-case", "pictures"]);
    assert!(set.stdout.ends_with("1 of 1 cases pass\n"), "{}", set.stdout);
    let notes: Vec<&str> = set.stderr().lines().collect();
    assert_eq!(notes.len(), 2, "{}", set.stderr());
    for (note, name) in notes.iter().zip(["README.md", "pictures"]) {
        assert!(note.contains(&format!("{name}: not a case, left out")), "{note}");
    }
    place
        .run(&["verify", "README.md"])
        .refused("README.md: not a case");
    place
        .run(&["verify", "pictures", "README.md"])
        .refused("not a case");
    place.run(&["verify", "absent"]).refused("absent: ");
    fs::remove_file(case.join("case.json")).unwrap();
    place
        .run(&["verify", "README.md", "a-case"])
        .refused("a-case: not a case, expected case.json");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}
