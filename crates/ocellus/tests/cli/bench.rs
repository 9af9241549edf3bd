//! `bench`, and what a machine that is too small is told.

use serde_json::Value;

use crate::checkpoints::{self, ENDS_AT_102};
use crate::support::Place;

fn one_line(text: &str) -> Value {
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn the_built_in_model_is_measured_in_numbers_for_programs() {
    let place = Place::new();
    let arguments = [
        "bench",
        "--json",
        "--runs",
        "2",
        "--tokens",
        "5",
        "--prompt-tokens",
        "12",
        "--image-size",
        "140x56",
        "--no-ceilings",
    ];
    let outcome = place.run(&arguments, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("run 2 of 2"), "{}", outcome.stderr);
    let found = one_line(&outcome.stdout);
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (text("peer"), text("model"), text("weights"), text("image")),
        ("ocellus".into(), "nano".into(), "q8".into(), "140x56".into())
    );
    let number = |field: &str| {
        found[field]
            .as_f64()
            .unwrap_or_else(|| panic!("{field} of {found}"))
    };
    assert_eq!((number("gen"), number("runs")), (5.0, 2.0));
    assert_eq!(number("prompt_tokens") - number("image_tokens"), 12.0);
    for field in [
        "threads",
        "preprocess_s",
        "encode_s",
        "prefill_tok_s",
        "decode_tok_s",
        "ttft_s",
        "load_s",
        "png_mpx_s",
        "jpeg_mpx_s",
    ] {
        assert!(number(field) >= 0.0, "{field} of {found}");
    }
    for field in ["encode_s_runs", "prefill_tok_s_runs", "decode_tok_s_runs"] {
        assert_eq!(found[field].as_array().map(Vec::len), Some(2), "{field}");
    }
    assert_eq!(found["first_tokens"].as_array().map(Vec::len), Some(5));
    assert!(found["costs"]["tower_flops"].as_u64() > Some(0), "{found}");
    assert_eq!(
        (&found["ceilings"], &found["shares"], found.get("streams")),
        (&Value::Null, &Value::Null, None)
    );

    let at_once = [&arguments[..], &["--streams", "1,2"]].concat();
    let outcome = place.run(&at_once, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("2 at once"), "{}", outcome.stderr);
    let rows = one_line(&outcome.stdout)["streams"].clone();
    let counts: Vec<Option<u64>> = (0..2).map(|i| rows[i]["streams"].as_u64()).collect();
    assert_eq!(counts, [Some(1), Some(2)]);
    assert_eq!(rows[0]["times_one"], 1.0);
    assert!(
        rows[1]["step_bytes"].as_u64() > rows[0]["step_bytes"].as_u64(),
        "{rows}"
    );
    for wrong in ["0", "1,,2", "many", "70000"] {
        assert_eq!(place.run(&["bench", "--streams", wrong], &[]).code, 2, "{wrong}");
    }
}

#[test]
fn models_that_do_not_converse_are_measured_too_and_others_say_why_not() {
    let place = Place::new();
    let writes = ("blip-caption", ENDS_AT_102);
    checkpoints::checkpoint(&place.path().join("writes"), writes, ".safetensors");
    let arguments = [
        "bench",
        "./writes",
        "--quiet",
        "--runs",
        "1",
        "--tokens",
        "4",
        "--prompt-tokens",
        "8",
        "--no-ceilings",
    ];
    let outcome = place.run(&arguments, &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert!(outcome.stdout.contains("decoding"), "{}", outcome.stdout);

    let outcome = place.run(&["bench", "./writes", "--quiet", "--runs", "1"], &[]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    assert!(
        outcome.stderr.contains("context is 32") && outcome.stderr.contains("--prompt-tokens"),
        "{}",
        outcome.stderr
    );

    let looks = ("clip-quickgelu", checkpoints::STARTS_AND_ENDS);
    checkpoints::checkpoint(&place.path().join("looks"), looks, ".safetensors");
    let outcome = place.run(&["bench", "./looks", "--runs", "1"], &[]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    assert!(
        outcome.stderr.contains("does not write text"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains("such as -m ") && outcome.stderr.contains("families that can: "),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_model_that_does_not_fit_is_refused_before_it_is_loaded() {
    let place = Place::new();
    checkpoints::sights(place.path());
    let commands: [&[&str]; 4] = [
        &["ask", "--image", checkpoints::PICTURE, "What is this?"],
        &["ocr", checkpoints::PICTURE],
        &["bench", "--runs", "1"],
        &["embed", checkpoints::PICTURE],
    ];
    for arguments in commands {
        let arguments = [arguments, &["--dtype", "f32"]].concat();
        let outcome = place.run(&arguments, &[("OCELLUS_MEMORY", "20MB")]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{arguments:?}");
        let stderr = outcome.stderr;
        assert!(
            stderr.contains("nano in f32 needs ") && stderr.contains("20.0 MB are available"),
            "{stderr}"
        );
        assert!(
            stderr.contains("hint: ") && stderr.contains("--max-pixels"),
            "{stderr}"
        );
    }
    let narrow = [("OCELLUS_MEMORY", "20MB")];
    let smaller = [
        "ask",
        "--image",
        checkpoints::PICTURE,
        "--dtype",
        "bf16",
        "--max-tokens",
        "8",
        "What is this?",
    ];
    assert_eq!(
        place.run(&smaller, &narrow).code,
        0,
        "half the width and a short answer fit"
    );
    let all_the_same = place.run(&["ocr", checkpoints::PICTURE], &[("OCELLUS_MEMORY", "any")]);
    assert_eq!(all_the_same.code, 0, "{}", all_the_same.stderr);
    let wrong = place.run(&["ocr", checkpoints::PICTURE], &[("OCELLUS_MEMORY", "plenty")]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}

#[test]
fn plan_says_what_the_refusal_says() {
    let place = Place::new();
    let narrow = [("OCELLUS_MEMORY", "10MB")];
    let plan = place.run(&["models", "plan", "nano", "--format", "json"], &narrow);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let plan: Value = serde_json::from_str(&plan.stdout).expect("JSON");
    assert_eq!(plan["available_bytes"], 10_000_000);
    let total = plan["total_bytes"].as_u64().expect("a number");
    // The default of `plan` is the picture and the answer that commands count with which cannot tell yet.
    let refused = place.run(&["chat"], &narrow).stderr;
    let needed = format!(
        "needs {}.{} MB",
        total / 1_000_000,
        (total % 1_000_000 + 50_000) / 100_000
    );
    assert!(refused.contains(&needed), "{needed}: {refused}");
    for field in ["tower_flops", "prefill_flops", "token_bytes", "prompt_tokens"] {
        assert!(plan[field].as_u64() > Some(0), "{field}");
    }
    let table = place.run(&["models", "plan", "nano"], &narrow).stdout;
    for row in [
        "10.0 MB, too little",
        "work of the vision tower",
        "read for each new token",
    ] {
        assert!(table.contains(row), "{table}");
    }
    // What a page takes beside the model is said, since reading one is refused where it does not fit.
    let page = plan["page_bytes"].as_u64().expect("a number");
    assert!(table.contains("each page that is read"), "{table}");
    let refused = place.run(&["ocr", checkpoints::PICTURE], &[("OCELLUS_MEMORY", "200MB")]);
    let needed = format!("up to {}.{} MB", page / 1_000_000, page % 1_000_000 / 100_000);
    assert!(refused.stderr.contains(&needed), "{needed}: {}", refused.stderr);
    let wide = place.run(&["models", "plan", "nano"], &[("OCELLUS_MEMORY", "20GB")]);
    assert!(
        wide.stdout.contains("20.0 GB") && !wide.stdout.contains("too little"),
        "{}",
        wide.stdout
    );
}

#[test]
fn a_profile_is_a_table_a_picture_and_stacks() {
    let place = Place::new();
    let arguments = [
        "bench",
        "--quiet",
        "--runs",
        "1",
        "--tokens",
        "3",
        "--image-size",
        "140x56",
        "--no-ceilings",
        "--profile",
        "p.svg",
    ];
    let outcome = place.run(&arguments, &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let read = |name: &str| std::fs::read_to_string(place.path().join(name)).expect("a file");
    let (svg, folded) = (read("p.svg"), read("p.svg.folded"));
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    for part in ["preprocess", "tower", "prefill", "decode", "sample"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
        assert!(
            folded.lines().any(|line| line.starts_with(part)),
            "{part}: {folded}"
        );
    }
    for operation in [
        "tower;norm ",
        "tower;attention ",
        "prefill;rope ",
        "decode;embed ",
        "decode;head;linear ",
    ] {
        assert!(folded.contains(operation), "{operation}: {folded}");
    }
    let nowhere = place.run(&["bench", "--profile", "no/such/folder/p.svg"], &[]);
    assert_eq!(
        (nowhere.code, nowhere.stdout.as_str()),
        (1, ""),
        "said before anything is measured"
    );
}
