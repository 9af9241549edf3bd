//! `models quantize`: weights of few bits, rounded by what a calibration set makes of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device};
use ocellus_engine::{Request, Sampling, rank};
use ocellus_models::{Generator, PositionRule, load};
use ocellus_nn::{Format, Frozen, Matrix, Measured, Params, Precision};
use ocellus_text::{TextForm, Tokenizer};
use ocellus_weights::Weights;
use serde_json::Value;

use crate::checkpoints::{Marks, PICTURE, checkpoint, sights};
use crate::support::Place;

const CHATS: Marks = &[
    ("<|endoftext|>", 0),
    ("<|im_start|>", 1),
    ("<|im_end|>", 2),
    ("[UNK]", 3),
    ("<|vision_end|>", 6),
    ("<|vision_start|>", 7),
    ("<|image_pad|>", 8),
    ("<|video_pad|>", 9),
];
const TEXT: &str = "a cat on the mat : what is this photo of the red dog ? two short answer";

/// A model that answers, a picture and a text.
fn place() -> Place {
    let place = Place::new();
    let case = ("qwen2_5_vl-multi-449", CHATS);
    checkpoint(&place.path().join("model"), case, ".safetensors");
    sights(place.path());
    place.write("words.txt", TEXT);
    place
}

fn quantize(place: &Place, width: &str, to: &str, calibration: &[&str]) {
    let mut arguments = vec!["models", "quantize", "./model", "--quant", width, "-o", to];
    if !calibration.is_empty() {
        arguments.push("--calibration");
        arguments.extend(calibration);
    }
    let outcome = place.run(&arguments, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let calibrated = outcome.stderr.contains(", calibrated on ");
    assert_eq!(calibrated, !calibration.is_empty(), "{}", outcome.stderr);
}

fn file(place: &Place, folder: &str) -> Vec<u8> {
    fs::read(place.path().join(folder).join("model.safetensors")).unwrap()
}

#[test]
fn calibrated_weights_are_others_and_say_so() {
    let place = place();
    place.write("set/a.txt", TEXT);
    fs::copy(place.path().join(PICTURE), place.path().join("set/b.png")).unwrap();
    for width in ["q4", "q6"] {
        let [plain, both, again] = ["plain", "both", "again"].map(|name| format!("{width}-{name}"));
        quantize(&place, width, &plain, &[]);
        quantize(&place, width, &both, &[PICTURE, "words.txt"]);
        // The same set, as a folder.
        quantize(&place, width, &again, &["set"]);
        assert_ne!(file(&place, &both), file(&place, &plain), "{width}");
        assert_eq!(file(&place, &both).len(), file(&place, &again).len(), "{width}");
        let show = |folder: &str| {
            let model = format!("./{folder}");
            let shown = place.run(&["models", "show", &model, "--format", "json"], &[]);
            let card: Value = serde_json::from_str(&shown.stdout).unwrap();
            // Quantising changes no count.
            let original = place.run(&["models", "show", "./model", "--format", "json"], &[]);
            let original: Value = serde_json::from_str(&original.stdout).unwrap();
            assert_eq!(card["parameters"], original["parameters"], "{width}");
            // And it is planned as it lies in its files.
            let planned = |model: &str| -> Value {
                let plan = place.run(&["models", "plan", model, "--format", "json"], &[]);
                serde_json::from_str(&plan.stdout).unwrap()
            };
            let (quantised, plain) = (planned(&model), planned("./model"));
            assert_eq!(
                (&quantised["weights"], &plain["weights"]),
                (&width.into(), &"f32".into())
            );
            let bytes = |plan: &Value| plan["weights_bytes"].as_u64().unwrap();
            assert!(2 * bytes(&quantised) < bytes(&plain), "{quantised} {plain}");
            card["calibrated_rows"].clone()
        };
        assert_eq!(show(&plain), Value::Null);
        assert!(show(&both).as_u64().is_some_and(|rows| rows > 20), "{width}");
        assert_eq!(show(&both), show(&again), "{width}");
        let text = place.run(&["models", "show", &format!("./{both}")], &[]).stdout;
        let row = text.lines().find(|line| line.starts_with("calibrated"));
        assert!(row.is_some_and(|row| row.ends_with(" rows")), "{text}");
        let answer = place.run(
            &[
                "ask",
                "-m",
                &format!("./{both}"),
                "--image",
                PICTURE,
                "what is this",
                "--max-tokens",
                "3",
            ],
            &[],
        );
        assert_eq!(answer.code, 0, "{}", answer.stderr);
    }
}

/// What the command writes is what the library makes of the same text, and its errors where the text goes are smaller.
#[test]
fn rounding_errors_go_where_they_count_least() {
    let place = place();
    let folder = place.path().join("model");
    let importance = measured(&folder);
    for (width, format) in [("q4", Format::Q4), ("q6", Format::Q6)] {
        quantize(&place, width, width, &["words.txt"]);
        let written = Weights::open(&place.path().join(width)).unwrap();
        let (plain, calibrated) = (
            rounded(&folder, format, BTreeMap::new()),
            rounded(&folder, format, importance.clone()),
        );
        let source = Weights::open(&folder).unwrap();
        let (mut without, mut with, mut count) = (0.0, 0.0, 0);
        for (name, matrix) in &calibrated {
            let Matrix::Quantized(packed) = &**matrix else {
                continue;
            };
            assert_eq!(*written.view(name).unwrap().bytes, *packed.bytes(), "{name}");
            let Some(importance) = importance.get(name) else {
                continue;
            };
            let values = source.view(name).unwrap().to_f32().unwrap();
            without += weighted_error(&values, &plain[name], importance);
            with += weighted_error(&values, matrix, importance);
            count += 1;
        }
        // Five matrices in each of two layers, and the scores of words; keys and values have fewer than 32 outputs.
        assert_eq!(count, 11, "{width}");
        assert!(with < without, "{width}: {with} of {without}");
    }
}

fn weighted_error(values: &[f32], matrix: &Matrix, importance: &[f32]) -> f64 {
    let Matrix::Quantized(packed) = matrix else {
        panic!("it is rounded")
    };
    let mut row = vec![0.0; packed.k()];
    let mut sum = 0.0;
    for (index, values) in values.chunks_exact(packed.k()).enumerate() {
        packed.row(index, &mut row);
        let errors = values.iter().zip(&row).zip(importance);
        sum += errors
            .map(|((a, b), c)| f64::from((a - b) * (a - b) * c))
            .sum::<f64>();
    }
    sum
}

/// What the text makes of the model's matrices.
fn measured(folder: &Path) -> BTreeMap<String, Arc<[f32]>> {
    let measured = Arc::new(Measured::default());
    let weights = Arc::new(Weights::open(folder).unwrap());
    let source = Frozen::new(weights, Device::Cpu, DType::F32).measuring(measured.clone());
    let params = Params::new(Rc::new(source), Precision::Bf16).rounded(Format::Q4);
    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    let model = Generator::new(load(&config, &params).unwrap()).unwrap();
    let tokenizer = Tokenizer::from_dir(folder).unwrap();
    let ids = TextForm::BARE.ids(&tokenizer, TEXT).unwrap();
    let request = Request {
        ids: ids[..1].to_vec(),
        pictures: Vec::new(),
        max_tokens: 0,
        min_tokens: 0,
        sampling: Sampling::default(),
        end: Vec::new(),
        rule: PositionRule::default(),
    };
    rank(model.vlm(), &request, &[ids[1..].to_vec()], 1).unwrap();
    measured.importance()
}

fn rounded(
    folder: &Path,
    format: Format,
    importance: BTreeMap<String, Arc<[f32]>>,
) -> BTreeMap<String, Arc<Matrix>> {
    let weights = Arc::new(Weights::open(folder).unwrap());
    let source = Rc::new(Frozen::new(weights, Device::Cpu, DType::F32).keeping(importance));
    let params = Params::new(source.clone(), Precision::Bf16).rounded(format);
    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    load(&config, &params).unwrap();
    source.kept().into_iter().collect()
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_not_copied_and_said() {
    use std::os::unix::fs::symlink;
    let place = place();
    place.write("secret.txt", "private");
    place.write("model/own.txt", "own");
    for (target, name) in [("../secret.txt", "notes.txt"), ("own.txt", "same.txt")] {
        symlink(target, place.path().join("model").join(name)).unwrap();
    }
    // As a cache has it.
    place.write("template", "{{ messages[0].content }}");
    symlink("../template", place.path().join("model/chat_template.jinja")).unwrap();
    let outcome = place.run(&["models", "quantize", "./model", "-o", "out"], &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("notes.txt is a link that leads out of"),
        "{}",
        outcome.stderr
    );
    let out = |name: &str| place.path().join("out").join(name);
    assert!(!out("notes.txt").exists());
    for name in ["own.txt", "same.txt", "chat_template.jinja", "config.json"] {
        assert!(fs::symlink_metadata(out(name)).unwrap().is_file(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn who_is_interrupted_leaves_nothing_half_written() {
    let place = place();
    let before = place.files();
    for signal in ["INT", "TERM", "HUP"] {
        let output = format!("out-{signal}");
        let mut child = place
            .command(&["models", "quantize", "./model", "-o", &output])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Somewhere between its start and its end.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let pid = child.id().to_string();
        let _ = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status();
        let whole = child.wait().unwrap().success();
        let left = place.files();
        let new: Vec<_> = left.iter().filter(|name| !before.contains(name)).collect();
        match whole {
            true => assert_eq!(new, [&output]),
            false => assert!(new.is_empty(), "{signal}: {new:?}"),
        }
        let _ = fs::remove_dir_all(place.path().join(&output));
    }
}
