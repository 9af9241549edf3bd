//! LoRA adapters on the command line: alone, beside their base, shown and merged.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ocellus_weights::{Dtype, TensorBytes, Weights, f32_bytes};
use serde_json::{Value, json};

use crate::checkpoints::{Marks, PICTURE, checkpoint, sights};
use crate::support::{Outcome, Place};

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

/// An adapter of the queries and values of the model in `base`.
fn adapter(folder: &Path, base: &Path, changes: &[(&str, Value)]) {
    let weights = Weights::open(base).unwrap();
    let mut tensors: Vec<TensorBytes> = Vec::new();
    for name in weights
        .names()
        .filter(|name| name.ends_with("q_proj.weight") || name.ends_with("v_proj.weight"))
    {
        let shape = weights.view(name).unwrap().shape;
        let module = name.strip_suffix(".weight").unwrap();
        for (part, shape) in [("lora_A", vec![2, shape[1]]), ("lora_B", vec![shape[0], 2])] {
            let count = shape.iter().product::<usize>();
            let values: Vec<f32> = (0..count).map(|i| ((i * 37 % 19) as f32 - 9.0) * 0.03).collect();
            let name = format!("base_model.model.{module}.{part}.weight");
            tensors.push((name, Dtype::F32, shape, f32_bytes(&values, Dtype::F32).unwrap()));
        }
    }
    fs::create_dir_all(folder).unwrap();
    ocellus_weights::write(
        &folder.join("adapter_model.safetensors"),
        &tensors,
        &BTreeMap::new(),
    )
    .unwrap();
    let mut config = json!({
        "peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"],
        "base_model_name_or_path": "../model",
    });
    for (field, value) in changes {
        config[*field] = value.clone();
    }
    fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
}

/// A model, an adapter beside it in a folder of its own, and a picture.
fn place(changes: &[(&str, Value)]) -> Place {
    let place = Place::new();
    checkpoint(
        &place.path().join("model"),
        ("qwen2_5_vl-multi-449", CHATS),
        ".safetensors",
    );
    sights(place.path());
    adapter(&place.path().join("tuned"), &place.path().join("model"), changes);
    place
}

fn ask(place: &Place, model: &[&str]) -> Outcome {
    let question = [
        "--image",
        PICTURE,
        "a cat on the mat",
        "--max-tokens",
        "6",
        "--format",
        "json",
    ];
    place.run(&[&["ask", "-m"], model, &question].concat(), &[])
}

fn tokens(place: &Place, model: &[&str]) -> Value {
    let outcome = ask(place, model);
    assert_eq!(outcome.code, 0, "{model:?}: {}", outcome.stderr);
    assert_eq!(outcome.said(), "", "{model:?}");
    serde_json::from_str::<Value>(&outcome.stdout).unwrap()["token_ids"].clone()
}

#[test]
fn alone_beside_its_base_and_merged_it_gives_the_same() {
    let place = place(&[]);
    let without = tokens(&place, &["./model"]);
    let tuned = tokens(&place, &["./tuned"]);
    assert_ne!(without, tuned);
    assert_eq!(tokens(&place, &["./tuned", "--base", "./model"]), tuned);
    for (arguments, code) in [
        (&["models", "merge", "./tuned", "-o", "merged"][..], 0),
        (&["models", "merge", "./tuned", "-o", "merged"], 2),
        (&["models", "merge", "./model", "-o", "other"], 1),
        (
            &["models", "quantize", "./tuned", "--quant", "q8", "-o", "small"],
            0,
        ),
    ] {
        let outcome = place.run(arguments, &[]);
        assert_eq!(outcome.code, code, "{arguments:?}: {}", outcome.stderr);
    }
    assert!(!place.path().join("other").exists());
    assert_eq!(tokens(&place, &["./merged"]), tuned);
    tokens(&place, &["./small"]);
    for file in ["adapter_model.safetensors", "adapter_config.json"] {
        for folder in ["merged", "small"] {
            assert!(!place.path().join(folder).join(file).exists());
        }
        fs::copy(
            place.path().join("tuned").join(file),
            place.path().join("model").join(file),
        )
        .unwrap();
    }
    assert_eq!(tokens(&place, &["./model"]), tuned);
    // The quantised base keeps its weights, and the adapter is computed beside them.
    tokens(&place, &["./tuned", "--base", "./small"]);
    let refused = place.run(
        &["models", "merge", "./tuned", "--base", "./small", "-o", "again"],
        &[],
    );
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("stores `") && refused.stderr.contains("quantised"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_base_and_its_adapter_are_shown() {
    let place = place(&[("rank_pattern", json!({"nothing": 3}))]);
    let shown = place.run(&["models", "show", "./tuned"], &[]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(
        shown
            .stdout
            .contains("tuned: LoRA, 4 matrices changed by products of rank 2"),
        "{}",
        shown.stdout
    );
    let shown = place.run(&["models", "show", "./tuned", "--format", "json"], &[]);
    let card: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(
        (&card["adapter"]["matrices"], &card["adapter"]["ranks"]),
        (&json!(4), &json!([2, 2]))
    );
    assert!(card["location"].as_str().unwrap().ends_with("model"));
    let planned = place.run(&["models", "plan", "./tuned"], &[]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    assert!(planned.stdout.contains("tuned"), "{}", planned.stdout);
}

#[test]
fn what_cannot_be_applied_ends_with_a_sentence_and_a_hint() {
    for (changes, model, part, hint) in [
        (
            &[("use_dora", json!(true))][..],
            &["./tuned"][..],
            "uses DoRA",
            "merge_and_unload",
        ),
        (
            &[("peft_type", json!("VERA"))],
            &["./tuned"],
            "of the kind `VERA`",
            "merge_and_unload",
        ),
        (
            &[("base_model_name_or_path", json!("/no/such"))],
            &["./tuned"],
            "no folder `/no/such`",
            "--base",
        ),
        (
            &[("base_model_name_or_path", Value::Null)],
            &["./tuned"],
            "names none",
            "--base",
        ),
        (
            &[],
            &["./model", "--base", "./model"],
            "is no adapter",
            "leave out --base",
        ),
        (
            &[],
            &["./tuned", "--base", "./tuned/no"],
            "no such folder",
            "hint:",
        ),
        (
            &[("r", json!(3))],
            &["./tuned"],
            "expected the rank 3 first",
            "--base",
        ),
    ] {
        let place = place(changes);
        let outcome = ask(&place, model);
        assert_eq!(outcome.code, 1, "{changes:?}");
        assert_eq!(outcome.stderr.lines().count(), 2, "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains(part) && outcome.stderr.contains(hint),
            "{}",
            outcome.stderr
        );
    }
    let place = place(&[("new_field", json!(1))]);
    let outcome = ask(&place, &["./tuned"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .contains("warning: adapter_config.json: the field `new_field` = 1")
    );
    assert_eq!(ask(&place, &["./tuned", "--strict"]).code, 1);
}

/// A picture behind the question is in the prompt behind it.
#[test]
fn a_picture_after_the_question() {
    let place = place(&[]);
    let answer = |arguments: &[&str]| {
        let outcome = place.run(
            &[
                &["ask", "-m", "./model", "--format", "json", "--max-tokens", "6"],
                arguments,
            ]
            .concat(),
            &[],
        );
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        serde_json::from_str::<Value>(&outcome.stdout).unwrap()
    };
    let before = answer(&["--image", PICTURE, "a cat on the mat"]);
    let same = answer(&["a cat on the mat", "--image", PICTURE]);
    let after = answer(&["--image-after", PICTURE, "a cat on the mat"]);
    assert_eq!(before["token_ids"], same["token_ids"]);
    assert_eq!(before["usage"]["prompt_tokens"], after["usage"]["prompt_tokens"]);
    assert_ne!(before["token_ids"], after["token_ids"]);
    assert_eq!(after["vision"].as_array().unwrap().len(), 1);
}
