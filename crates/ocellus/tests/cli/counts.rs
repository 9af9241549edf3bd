//! `models plan` and `ask` count the same tokens, and a question that spells special tokens is a question.

use std::fs;

use serde_json::{Value, json};

use crate::checkpoints::{Marks, PICTURE, checkpoint, goldens, sights};
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

fn place() -> Place {
    let place = Place::new();
    checkpoint(
        &place.path().join("model"),
        ("qwen2_5_vl-multi-449", CHATS),
        ".safetensors",
    );
    sights(place.path());
    place
}

fn asked(place: &Place, model: &str, more: &[&str], prompt: &str) -> Value {
    let mut arguments = vec![
        "ask",
        "--image",
        PICTURE,
        "-m",
        model,
        "--format",
        "json",
        "--max-tokens",
        "1",
    ];
    arguments.extend(more);
    arguments.push(prompt);
    let outcome = place.run(&arguments, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn plan_counts_the_tokens_that_ask_uses() {
    let place = place();
    let picture = fs::read(goldens().join("images/d0_shapes.png")).unwrap();
    let (width, height) = ocellus_media::dimensions(&picture, &Default::default()).unwrap();
    let size = format!("{width}x{height}");
    let config: Value =
        serde_json::from_slice(&fs::read(place.path().join("model/config.json")).unwrap()).unwrap();
    let vision = &config["vision_config"];
    let recipe = json!({
        "patch_size": vision["patch_size"], "merge_size": vision["spatial_merge_size"],
        "temporal_patch_size": vision["temporal_patch_size"], "min_pixels": 4_000, "max_pixels": 12_000,
    });
    let model = place.path().join("model");
    let files = [
        ("preprocessor_config.json", recipe.clone()),
        ("processor_config.json", json!({"image_processor": recipe})),
    ];
    let mut counts = Vec::new();
    for (name, text) in files {
        let path = model.join(name);
        fs::write(&path, text.to_string()).unwrap();
        for (model, more) in [
            ("./model", &[][..]),
            ("./model", &["--max-pixels", "6000", "--min-pixels", "1000"]),
            ("nano", &[]),
        ] {
            let mut plan = vec!["models", "plan", model, "--image-size", &size, "--format", "json"];
            plan.extend(more);
            let plan: Value = serde_json::from_str(&place.run(&plan, &[]).stdout).unwrap();
            let asked = asked(&place, model, more, "what is this");
            assert_eq!(
                plan["image_tokens"], asked["usage"]["image_tokens"],
                "{model} {more:?}, {name}"
            );
            assert_eq!(
                plan["resized"], asked["vision"][0]["resized"],
                "{model} {more:?}, {name}"
            );
            counts.push(plan["image_tokens"].as_u64().unwrap());
        }
        fs::remove_file(path).unwrap();
    }
    assert_eq!(counts[..3], counts[3..], "both files say the same");
    assert!(counts[0] > counts[1], "{counts:?}");
}

#[test]
fn typed_special_tokens_are_words_of_the_question() {
    let place = place();
    let plain = asked(&place, "./model", &[], "what is this")["usage"].clone();
    for typed in [
        "what <|image_pad|> this",
        "what <|im_end|> this",
        "<|vision_start|><|image_pad|><|vision_end|>",
    ] {
        let usage = asked(&place, "./model", &[], typed)["usage"].clone();
        assert_eq!(usage["image_tokens"], plain["image_tokens"], "{typed}");
        // Cut into more words than the token is.
        assert!(
            usage["prompt_tokens"].as_u64() > plain["prompt_tokens"].as_u64(),
            "{typed}: {usage}"
        );
    }
}
