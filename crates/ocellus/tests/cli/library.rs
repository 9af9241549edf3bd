//! The numbers of the command line are those of the library behind it, and the list of families keeps its promises.

use std::collections::BTreeSet;
use std::fs;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_models::VisualFormat;
use ocellus_models::patches::patch_rows;
use ocellus_models::{FAMILIES, Task, VisualInput};
use ocellus_nn::{Frozen, Params, Precision};
use ocellus_weights::Weights;
use serde_json::Value;

use crate::abilities::{self, place};
use crate::checkpoints::{FIRST_WORD, PICTURE, STARTS_AND_ENDS, checkpoint, goldens};

#[test]
fn score_prints_what_the_matcher_says() {
    let place = place();
    checkpoint(
        &place.path().join("pairs"),
        ("clip-quickgelu", STARTS_AND_ENDS),
        ".safetensors",
    );
    let printed = place.run(
        &[
            "score", "-m", "./pairs", PICTURE, "a cat", "the dog", "--format", "json",
        ],
        &[],
    );
    let printed: Value = serde_json::from_str(&printed.stdout).unwrap();

    let folder = place.path().join("pairs");
    let weights = Arc::new(Weights::open(&folder).unwrap());
    let source = Rc::new(Frozen::new(weights, Device::Cpu, DType::F32));
    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    let model = ocellus_models::load(&config, &Params::new(source, Precision::F32)).unwrap();
    let VisualFormat::Planes(recipe) = model.input().visual else {
        panic!("it sees planes")
    };
    let picture = fs::read(place.path().join(PICTURE)).unwrap();
    let picture = ocellus_media::decode(&picture, &ocellus_base::limits::Limits::default()).unwrap();
    let pixels = recipe.apply(&picture.image).unwrap();
    let planes = Tensor::from_vec(pixels.values, (1, 3, pixels.height, pixels.width), &Device::Cpu).unwrap();
    let (patches, grids) = patch_rows(
        &planes.repeat((2, 1, 1, 1)).unwrap(),
        model.facts().patch_size,
        None,
    )
    .unwrap();
    // `a cat` and `the dog` between their marks.
    let texts = [0, 1].map(|word| [158, FIRST_WORD + 4 * word, FIRST_WORD + 1 + word, 159]);
    let sight = VisualInput::Pictures { patches, grids };
    let scores = model
        .matcher()
        .unwrap()
        .scores(&sight, &[&texts[0], &texts[1]])
        .unwrap();
    for (printed, score) in printed["scores"].as_array().unwrap().iter().zip(scores) {
        let (printed, score) = (printed["similarity"].as_f64().unwrap(), score.similarity.unwrap());
        assert!((printed - f64::from(score)).abs() < 1e-6, "{printed} {score}");
    }
}

/// What a family is listed with is shown by a test of that command, and the other way round. Models that are spoken to in
/// conversations, and detectors, have tests of their own.
#[test]
fn families_do_what_they_are_listed_with() {
    let shown: BTreeSet<(String, &str)> = abilities::shown()
        .into_iter()
        .map(|(case, task)| {
            let json = fs::read(goldens().join(case).join("case.json")).unwrap();
            let json: Value = serde_json::from_slice(&json).unwrap();
            let family = ocellus_models::families::named(json["family"].as_str().unwrap()).unwrap();
            (family.id.to_owned(), task.as_str())
        })
        .collect();
    let listed = FAMILIES
        .iter()
        .filter(|f| !f.tasks.contains(&Task::Chat))
        .flat_map(|f| {
            let tasks = f.tasks.iter().filter(|task| **task != Task::Detect);
            tasks.map(|task| (f.id.to_owned(), task.as_str()))
        });
    assert_eq!(shown, listed.collect());
}

/// The table of `docs/models.md` is the registry's. After a new family: `OCELLUS_UPDATE=1 cargo test -p ocellus --test cli`.
#[test]
fn the_documented_families_are_those_of_the_registry() {
    let row = |cells: [String; 3]| format!("| {} |\n", cells.join(" | "));
    let mut table = row(["family", "tasks", "architectures"].map(str::to_owned)) + "|---|---|---|\n";
    for family in FAMILIES {
        let tasks: Vec<&str> = family.tasks.iter().map(|task| task.as_str()).collect();
        table += &row([
            family.id.to_owned(),
            tasks.join(", "),
            family.architectures.join(", "),
        ]);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/models.md");
    let page = fs::read_to_string(path).unwrap().replace("\r\n", "\n");
    let (head, rest) = page
        .split_once("--test cli` -->\n")
        .expect("the mark above the table");
    let (recorded, tail) = rest.split_once("<!-- END").expect("the mark below the table");
    if std::env::var_os("OCELLUS_UPDATE").is_some() {
        return fs::write(path, format!("{head}--test cli` -->\n{table}<!-- END{tail}")).unwrap();
    }
    assert_eq!(recorded, table);
}
