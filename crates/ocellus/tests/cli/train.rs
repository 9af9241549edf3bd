//! `train`: whose folder is whose.

use std::fs;

use crate::support::{Place, small_model};

const RECIPE: &str = r#"
[model]
folder = "model"
initial_std = 0.04
seed = 1
[data]
seed = 20
fonts = ["model"]
corpus = ["words.txt"]
validation_lines = 2
[optimiser]
steps = 2
batch = 4
micro_batch = 2
shards = 1
learning_rate = 2e-3
final_learning_rate = 2e-5
warmup_steps = 2
betas = [0.9, 0.98]
weight_decay = 0.05
clip_norm = 1.0
ema = 0.998
bf16 = false
[auxiliary]
frames = 0.5
frames_per_cell = 8
guide = 1.0
guide_layers = [1]
guide_fade = [0.9, 1.0]
[[stages]]
until = 1.0
min_chars = 1
max_chars = 8
max_cells = 4
difficulty = 0.1
"#;

fn place() -> Place {
    let place = Place::new();
    small_model(&place, "model");
    place.write("recipe.toml", RECIPE);
    place.write("words.txt", "a few words");
    place
}

#[test]
fn a_run_replaces_no_model() {
    let place = place();
    let model = place.path().join("model/model.safetensors");
    let before = fs::read(&model).unwrap();
    for (output, found) in [("model", "is there"), (".", "is there")] {
        let outcome = place.run(&["train", "recipe.toml", "-o", output], &[]);
        assert_eq!(outcome.code, 1, "{output}");
        let said = "a new run needs an empty folder";
        assert!(
            outcome.stderr.contains(said) && outcome.stderr.contains(found),
            "{}",
            outcome.stderr
        );
    }
    let resumed = place.run(&["train", "recipe.toml", "--resume", "-o", "model"], &[]);
    assert!(
        resumed.stderr.contains("there is no checkpoint to go on from"),
        "{}",
        resumed.stderr
    );
    assert_eq!(fs::read(&model).unwrap(), before);
    assert!(!place.path().join("checkpoint.safetensors").exists());
}

#[test]
fn one_process_at_a_time_writes_to_a_run() {
    let place = place();
    place.write("run/checkpoint.safetensors", "");
    let lock = fs::File::create(place.path().join("run/.ocellus-run.lock")).unwrap();
    lock.lock().unwrap();
    let outcome = place.run(&["train", "recipe.toml", "--resume", "-o", "run"], &[]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.stderr.contains("run: another training run writes there"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn recipes_beyond_all_bounds_are_refused() {
    let place = place();
    for (line, more) in [
        ("shards = 1", "shards = 1000000000000"),
        ("batch = 4", "batch = 1000000000000"),
        ("validation_lines = 2", "validation_lines = 1000000000000"),
    ] {
        place.write("recipe.toml", RECIPE.replace(line, more));
        let outcome = place.run(&["train", "recipe.toml", "-o", "out"], &[]);
        assert_eq!(outcome.code, 1, "{more}");
        assert!(
            outcome.stderr.contains("is 1000000000000, expected at most"),
            "{}",
            outcome.stderr
        );
        assert!(!place.path().join("out").exists());
    }
}
