//! `models plan` and `ask` count the same tokens, and a question that spells special tokens is a question.

use std::fs;
use std::ops::ControlFlow;

use ocellus_engine::EngineOptions;
use ocellus_hub::Checkpoint;
use ocellus_session::{
    Event, GenerationOptions, MemoryEstimate, OpenOptions, PixelBounds, Session, StorageDtype, TextFiles,
    Usage,
};
use ocellus_text::{Conversation, Message, Role};
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

/// The second question of a chat computes only what is new, and its answer is the one that an engine gives that has read nothing.
#[test]
fn a_kept_engine_reads_what_is_new() {
    let place = place();
    let options = OpenOptions {
        engine: EngineOptions {
            prefix_cache: true,
            encoder_cache_bytes: 1 << 20,
            ..EngineOptions::default()
        },
        ..OpenOptions::default()
    };
    let session = Session::open(&Checkpoint::folder(place.path().join("model")), &options).unwrap();
    let bytes = fs::read(place.path().join(PICTURE)).unwrap();
    let bounds = PixelBounds {
        min_pixels: Some(80_000),
        max_pixels: Some(120_000),
    };
    let pictures = [session.picture(&bytes, bounds).unwrap()];
    let sampled = GenerationOptions {
        max_tokens: Some(3),
        ..GenerationOptions::default()
    };
    let mut engine = session.engine().unwrap();
    let mut talk = Conversation::about_images(1, "what is this");
    let mut before = 0;
    for (turn, question) in ["what is that", "and this", "why"].into_iter().enumerate() {
        let request = session.request(&talk, &pictures, &sampled).unwrap();
        let mut go_on = |_: Event<'_>| ControlFlow::Continue(());
        let kept = session.answer_in(&mut engine, &request, &[], &mut go_on).unwrap();
        let fresh = session.answer(&request, &[], &mut go_on).unwrap();
        assert_eq!(kept.tokens, fresh.tokens, "turn {turn}");
        assert_eq!(fresh.cached_tokens, 0);
        // Whole blocks are kept.
        let new = (before / 64 * 64..=before).contains(&kept.cached_tokens);
        assert!(new, "turn {turn}: {} of {before} tokens", kept.cached_tokens);
        before = request.ids.len();
        talk.messages.push(Message::text(Role::Assistant, kept.text));
        talk.messages.push(Message::text(Role::User, question));
    }
}

#[test]
fn memory_is_counted_for_all_that_runs_at_once_and_for_upright_pictures() {
    let place = place();
    let files = TextFiles::Folder(place.path().join("model"));
    let storage = StorageDtype::of(&Default::default(), None);
    let of = |streams, beams| {
        let usage = Usage {
            pictures: vec![(600, 40)],
            streams,
            beams,
            ..Usage::default()
        };
        let config = ocellus_models::families::parse(&files.config().unwrap()).unwrap();
        let estimate = MemoryEstimate::new(&files, &config, &usage, &storage);
        let estimate = estimate.unwrap().unwrap();
        (estimate.context_tokens, estimate.plan)
    };
    let (context, one) = of(1, 1);
    let token = one.cache_bytes / context;
    for (streams, beams) in [(1, 3), (4, 1), (64, 1), (2, 3)] {
        let (same, plan) = of(streams, beams);
        assert_eq!(same, context);
        let tokens = streams * (context - 1024 + beams * 1024);
        assert_eq!(
            plan.cache_bytes,
            tokens * token,
            "{streams} requests, {beams} beams"
        );
        assert!(plan.vision_bytes <= streams * one.vision_bytes && plan.vision_bytes >= one.vision_bytes);
    }
    assert_eq!(of(4, 1).1.vision_bytes, 4 * one.vision_bytes, "encoded together");

    let turned = fs::read(goldens().join("images/d5_exif.jpg")).unwrap();
    let decoded = ocellus_media::decode(&turned, &Default::default()).unwrap();
    assert_ne!(decoded.original, decoded.oriented, "the file turns its picture");
    assert_eq!(Usage::of_files([&turned]).pictures, [decoded.oriented]);
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
