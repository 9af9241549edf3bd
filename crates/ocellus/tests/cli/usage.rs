//! What users type by mistake or by habit, and what they are told.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Outcome, Place, blank, small_model};

fn place() -> Place {
    let place = Place::new();
    place.write("a.png", blank(40, 30));
    place.write("b.png", blank(40, 30));
    place
}

fn fed(place: &Place, arguments: &[&str], input: &[u8]) -> Outcome {
    let mut command = place.command(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // A program that refuses does not read.
    let _ = child.stdin.take().expect("standard input").write_all(input);
    Outcome::of(child.wait_with_output().expect("it ends"))
}

#[test]
fn mistakes_are_told_what_was_meant() {
    let place = place();
    let cases: &[(&[&str], &str, &str)] = &[
        (&["ask", "a.png", "what?"], "a.png is a picture", "--image a.png"),
        (&["ask", "a.png"], "a.png is a picture", "--image a.png"),
        (
            &["ask", "what", "is", "this?"],
            "expected one question, found 3",
            "quotation marks",
        ),
        (&["ask"], "a question is required", "standard input"),
        (
            &["classify", "a.png", "b.png", "cat"],
            "b.png is a picture and stands where labels",
            "once for each",
        ),
        (
            &["score", "a.png", "b.png"],
            "b.png is a picture and stands where texts",
            "once for each",
        ),
        (
            &["models", "list", "--quant", "q4"],
            "`models list` has no use for --quant",
            "leave out",
        ),
        (
            &["--device", "cuda:0", "completions", "bash"],
            "has no use for --device",
            "leave out",
        ),
        (
            &["detect", "a.png", "b.png", "-o", "x.safetensors"],
            "-o FILE is for one picture",
            "-o DIR/",
        ),
        (
            &["detect", "a.png", "b.png", "--draw", "x.png"],
            "--draw FILE is for one picture",
            "--draw DIR/",
        ),
    ];
    for (arguments, error, hint) in cases {
        let outcome = place.run(arguments, &[]);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (2, ""),
            "{arguments:?}: {}",
            outcome.stderr
        );
        assert!(
            outcome.stderr.contains(error) && outcome.stderr.contains(hint),
            "{arguments:?}: {}",
            outcome.stderr
        );
    }
    for (arguments, text) in [
        (
            &["fill", "a.png", "a [MASK]", "--top", "0"][..],
            "a whole number of at least 1",
        ),
        (
            &["ask", "hi", "--max-tokens", "0"],
            "a whole number of at least 1",
        ),
        (
            &["caption", "a.png", "--max-tokens", "x"],
            "a whole number of at least 1",
        ),
    ] {
        let outcome = place.run(arguments, &[]);
        assert_eq!(outcome.code, 2, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(text), "{arguments:?}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("non-zero"), "{}", outcome.stderr);
    }
}

#[test]
fn what_the_built_in_model_cannot_do_names_a_model_that_can() {
    let place = place();
    for arguments in [
        &["score", "a.png", "x"][..],
        &["classify", "a.png", "x"],
        &["embed", "a.png"],
        &["fill", "a.png", "a [MASK]"],
        &["caption", "a.png"],
        &["detect", "a.png"],
    ] {
        let outcome = place.run(arguments, &[]);
        assert_eq!(outcome.code, 1, "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("such as -m "),
            "{arguments:?}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn questions_come_from_standard_input() {
    let place = place();
    small_model(&place, "model");
    let ask = [
        "ask",
        "-m",
        "./model",
        "--max-tokens",
        "3",
        "--seed",
        "1",
        "--format",
        "json",
    ];
    let text = |outcome: &Outcome| {
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let answer: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        (
            answer["token_ids"].clone(),
            answer["usage"]["prompt_tokens"].clone(),
        )
    };
    let given = text(&place.run(&[&ask[..], &["what is it"]].concat(), &[]));
    assert_eq!(text(&fed(&place, &ask, b"what is it\n")), given);
    assert_eq!(
        text(&fed(&place, &[&ask[..], &["-"]].concat(), b"what is it")),
        given
    );
    let both = fed(&place, &[&ask[..], &["--image", "-"]].concat(), b"x");
    assert_eq!(both.code, 2, "{}", both.stderr);
    assert!(
        both.stderr.contains("both come from standard input"),
        "{}",
        both.stderr
    );
    let broken = fed(&place, &ask, b"\xff\xfe");
    assert_eq!(broken.code, 1, "{}", broken.stderr);
}

#[test]
fn pictures_have_a_bound_and_addresses_are_not_files() {
    let place = place();
    small_model(&place, "model");
    let mut many = vec!["ask", "-m", "./model", "hi"];
    (0..65).for_each(|_| many.extend(["--image", "a.png"]));
    let many = place.run(&many, &[]);
    assert_eq!(many.code, 2, "{}", many.stderr);
    assert!(
        many.stderr
            .contains("at most 64 pictures in a question, found 65"),
        "{}",
        many.stderr
    );
    let mut talk = "/image a.png\n".repeat(65);
    talk.push_str("hi\n");
    let talk = fed(
        &place,
        &["chat", "-m", "./model", "--max-tokens", "1"],
        talk.as_bytes(),
    );
    assert!(
        talk.stderr
            .contains("at most 64 pictures in a conversation, found 65"),
        "{}",
        talk.stderr
    );
    for command in [
        &["ocr", "https://example.org/a.png"][..],
        &[
            "ask",
            "-m",
            "./model",
            "hi",
            "--image",
            "http://example.org/a.png",
        ],
        &["caption", "-m", "./model", "https://example.org/a.png"],
    ] {
        let outcome = place.run(command, &[]);
        assert_eq!(outcome.code, 1, "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("not fetched from addresses"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn threads_are_bounded_and_timings_are_logged() {
    let place = place();
    for (arguments, environment) in [
        (&["ocr", "a.png", "--threads", "1000"][..], &[][..]),
        (&["ocr", "a.png"], &[("OCELLUS_THREADS", "1000")]),
    ] {
        let many = place.run(arguments, environment);
        assert_eq!(many.code, 0, "{}", many.stderr);
        assert!(
            many.stderr.contains("1000 threads are asked for and "),
            "{}",
            many.stderr
        );
    }
    small_model(&place, "model");
    let ask = ["ask", "-m", "./model", "hi", "--max-tokens", "2"];
    for (arguments, environment) in [
        ([&ask[..], &["--log-level", "info"]].concat(), &[][..]),
        (ask.to_vec(), &[("OCELLUS_LOG", "info")]),
    ] {
        let logged = place.run(&arguments, environment);
        assert_eq!(logged.code, 0, "{}", logged.stderr);
        for part in ["is loaded in", "tokens in", " ms"] {
            assert!(logged.stderr.contains(part), "{}", logged.stderr);
        }
    }
    assert!(!place.run(&ask, &[]).stderr.contains(" ms"));
}

#[test]
fn a_chat_begins_with_pictures_and_a_system_prompt() {
    let place = place();
    small_model(&place, "model");
    let chat = [
        "chat",
        "-m",
        "./model",
        "--image",
        "a.png",
        "--system",
        "Be brief.",
        "--max-tokens",
        "2",
    ];
    let talk = fed(
        &place,
        &chat,
        b"hi\n/save talk.json\n/reset\n/save empty.json\n/exit\nnot said\n",
    );
    assert_eq!(talk.code, 0, "{}", talk.stderr);
    assert!(
        talk.stderr.contains("the answer was cut after 2 tokens"),
        "{}",
        talk.stderr
    );
    let saved = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(place.path().join(name)).expect("a file")).expect("JSON")
    };
    let roles = |saved: &Value| -> Vec<String> {
        let messages = saved["messages"].as_array().expect("messages");
        messages
            .iter()
            .map(|m| m["role"].as_str().expect("a role").to_owned())
            .collect()
    };
    let talk = saved("talk.json");
    assert_eq!(roles(&talk), ["system", "user", "assistant"]);
    assert_eq!(talk["messages"][1]["content"][0]["type"], "image");
    assert_eq!(roles(&saved("empty.json")), ["system"]);
    let missing = fed(&place, &["chat", "-m", "./model", "--image", "none.png"], b"");
    assert_eq!(missing.code, 1, "{}", missing.stderr);
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let place = place();
    let written = place.run(&["man", "-o", "man1"], &[]);
    assert_eq!((written.code, written.stderr.as_str()), (0, ""));
    for page in [
        "ocellus",
        "ocellus-ocr",
        "ocellus-models",
        "ocellus-models-plan",
        "ocellus-data-synth",
    ] {
        let page = std::fs::read_to_string(place.path().join(format!("man1/{page}.1"))).expect(page);
        assert!(
            page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"),
            "{page}"
        );
    }
    let list = std::fs::read_to_string(place.path().join("man1/ocellus-models-list.1")).expect("a page");
    assert!(!list.contains("quant"), "options without use are left out");
    assert!(!place.path().join("man1/ocellus-man.1").exists());
}

/// Addresses that are too few are refused or told of: exit code 1, never a signal.
#[cfg(target_os = "linux")]
#[test]
fn too_little_memory_is_a_failure_like_others() {
    let place = place();
    for kib in [150_000, 250_000, 400_000] {
        let program = env!("CARGO_BIN_EXE_ocellus");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("ulimit -v {kib}; exec {program} ocr a.png b.png")]);
        shell
            .current_dir(place.path())
            .stdin(Stdio::null())
            .env("RUST_BACKTRACE", "0");
        let output = shell.output().expect("a shell");
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 1)),
            "{kib}: {:?} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(code == Some(1), !output.stderr.is_empty(), "{kib}");
    }
}
