//! Which golden checkpoint shows which command, and how a command's answer is read.

use ocellus_models::Task;
use serde_json::Value;

use crate::checkpoints::{END_AT_1, END_AT_2, ENDS_AT_102, Marks, SENTENCES, STARTS_AND_ENDS, sights};
use crate::support::Place;

/// A case and the special tokens of its vocabulary.
pub type Case = (&'static str, Marks);

/// Have a space for pictures and texts.
pub const PAIRS: &[Case] = &[
    ("clip-quickgelu", STARTS_AND_ENDS),
    ("albef-itc-itm-mlm", SENTENCES),
    ("vlmo-base", SENTENCES),
    ("blip-itm-itc", ENDS_AT_102),
    ("blip_2-itm-itc", SENTENCES),
];

/// The case, whether it looks at regions, and whether it has probabilities and cosines.
pub const SCORED: &[(Case, bool, (bool, bool))] = &[
    (("clip-quickgelu", STARTS_AND_ENDS), false, (false, true)),
    (("vilt-retrieval", SENTENCES), false, (true, false)),
    (("albef-itc-itm-mlm", SENTENCES), false, (true, true)),
    (("vlmo-base", SENTENCES), false, (true, true)),
    (("blip-itm-itc", ENDS_AT_102), false, (true, true)),
    (("blip_2-itm-itc", SENTENCES), false, (true, true)),
    (("uniter-mlm-itm", SENTENCES), true, (true, false)),
    (("vilbert-pretrain", SENTENCES), true, (true, false)),
];

/// The case, and whether it looks at regions.
pub const FILLED: &[(&str, bool)] = &[
    ("vilt-mlm", false),
    ("albef-itc-itm-mlm", false),
    ("vlmo-base", false),
    ("uniter-mlm-itm", true),
    ("vilbert-pretrain", true),
];

pub const CAPTIONED: &[Case] = &[
    ("blip-caption", ENDS_AT_102),
    ("blip_2-opt", END_AT_2),
    ("blip_2-t5", END_AT_1),
];

/// Write their answers.
pub const WRITTEN: &[Case] = &[
    ("blip-vqa", ENDS_AT_102),
    ("blip_2-opt", END_AT_2),
    ("blip_2-t5", END_AT_1),
    ("albef-vqa", SENTENCES),
];

/// Choose their answers: the case, the number of answers, and whether it looks at regions.
pub const CHOSEN: &[(&str, usize, bool)] = &[
    ("vilt-vqa", 7, false),
    ("uniter-vqa", 13, true),
    ("vilbert-vqa", 3129, true),
];

/// Cases and commands that the tests of this file run.
pub fn shown() -> Vec<(&'static str, Task)> {
    let mut shown = Vec::new();
    shown.extend(SCORED.iter().map(|row| (row.0.0, Task::Score)));
    shown.extend(
        PAIRS
            .iter()
            .flat_map(|case| [(case.0, Task::Classify), (case.0, Task::Embed)]),
    );
    shown.extend(FILLED.iter().map(|row| (row.0, Task::Fill)));
    shown.extend(CAPTIONED.iter().map(|case| (case.0, Task::Caption)));
    shown.extend(WRITTEN.iter().map(|case| (case.0, Task::Ask)));
    shown.extend(CHOSEN.iter().map(|row| (row.0, Task::Ask)));
    shown.push(("vlmo-base", Task::Ask));
    shown
}

/// Compares texts with many vectors of a picture, of which `embed` gives the mean.
pub const BY_PARTS: &str = "blip_2-itm-itc";

/// A place with the picture and its regions.
pub fn place() -> Place {
    let place = Place::new();
    sights(place.path());
    place
}

/// What a command prints as JSON; it says the same when asked again, and nothing else.
pub fn answer(place: &Place, arguments: &[&str]) -> Value {
    let run = || {
        let outcome = place.run(&[arguments, &["--format", "json"]].concat(), &[]);
        assert_eq!(
            (outcome.code, outcome.said().as_str()),
            (0, ""),
            "{arguments:?}: {}",
            outcome.stdout
        );
        let mut answer: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        for changing in ["timing", "seed"] {
            answer.as_object_mut().expect("an object").remove(changing);
        }
        answer
    };
    let first = run();
    assert_eq!(first, run(), "{arguments:?}");
    first
}

pub fn list<'v>(value: &'v Value, key: &str) -> &'v Vec<Value> {
    value[key]
        .as_array()
        .unwrap_or_else(|| panic!("no list `{key}` in {value}"))
}

pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}
