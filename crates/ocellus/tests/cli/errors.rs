//! Wrong usage and failures: exit code, one sentence, a hint, nothing on standard output.

use crate::support::{Place, golden};

#[test]
fn wrong_usage_is_exit_code_2() {
    let place = Place::new();
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage:"),
        (&["see"], "unrecognized subcommand"),
        (&["ask"], "required"),
        (&["ask", "--image", "a.png"], "required"),
        (&["ask", "-p", "one", "two"], "cannot be used with"),
        (&["ask", "hi", "--temperature", "-1"], "at least 0"),
        (&["ask", "hi", "--temperature", "nan"], "at least 0"),
        (&["ask", "hi", "--top-p", "0"], "above 0, at most 1"),
        (&["ask", "hi", "--min-p", "1.5"], "from 0 to 1"),
        (&["ask", "hi", "--repeat-penalty", "-2"], "above 0"),
        (&["ask", "hi", "--max-tokens", "0"], "--max-tokens"),
        (&["ask", "hi", "--seed", "x"], "--seed"),
        (&["ask", "hi", "--top-k", "99999999999999999999999"], "--top-k"),
        (
            &["ask", "hi", "--min-pixels", "900", "--max-pixels", "100"],
            "is more than --max-pixels",
        ),
        (&["ask", "hi", "--format", "xml"], "invalid value"),
        (&["ask", "hi", "--device", "gpu"], "expected cpu, cuda:N or metal"),
        (&["ask", "hi", "--dtype", "q4"], "invalid value"),
        (&["ask", "hi", "--threads", "0"], "--threads"),
        (&["ask", "hi", "--log-level", "loud"], "--log-level"),
        (&["ask", "hi", "--schema", "x.json"], "unexpected argument"),
        (&["ocr"], "required"),
        (&["ocr", "a.png", "--format", "pdf"], "invalid value"),
        (&["models"], "Usage:"),
        (&["models", "pull"], "required"),
        (&["models", "plan", "nano", "--image-size", "big"], "WIDTHxHEIGHT"),
        (&["verify"], "required"),
        (&["completions", "basic"], "invalid value"),
    ];
    for (arguments, text) in cases {
        let outcome = place.run(arguments, &[]);
        assert_eq!(outcome.code, 2, "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(text), "{arguments:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
}

#[test]
fn wrong_environment_is_exit_code_2() {
    let place = Place::new();
    for (name, value) in [
        ("OCELLUS_THREADS", "none"),
        ("OCELLUS_PIN", "all"),
        ("OCELLUS_HUB", "x"),
        ("OCELLUS_LOG", "x"),
        ("HF_TOKEN", "a b"),
    ] {
        let outcome = place.run(&["models", "list"], &[(name, value)]);
        assert_eq!(outcome.code, 2, "{name}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(name) && outcome.stderr.contains("\nhint: "),
            "{name}: {}",
            outcome.stderr
        );
    }
    let secret = place.run(&["models", "list"], &[("HF_TOKEN", "hf_ secret")]);
    assert!(!secret.stderr.contains("secret"), "{}", secret.stderr);
}

/// Arguments, environment, a part of the sentence.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

#[test]
fn failures_are_exit_code_1_with_one_sentence_and_a_hint() {
    let place = Place::new();
    place.write("empty/readme.txt", "");
    place.write("half/config.json", "{}");
    place.write("broken/config.json", "{");
    place.write("broken/model.safetensors", "not a weight file at all");
    place.write("doc.png", "%PDF-1.7\n");
    place.write("clip.png", b"\0\0\0\x20ftypisom\0\0\0\0");
    place.write("bad\nname.png", "%PDF-1.7\n");
    place.write("nano.toml", golden("recipes/nano.toml"));
    place.write("fonts/a.ttf", golden("tests/fonts/Go-Regular.ttf"));
    place.write("table.bin", b"\0\x01\0");
    let offline: &[(&str, &str)] = &[("HF_HUB_OFFLINE", "1")];
    let cases: &[Case] = &[
        (&["ask", "-m", "./absent", "hi"], &[], "./absent: no such folder"),
        (
            &["ask", "hi"],
            &[("OCELLUS_MODEL", "./absent")],
            "./absent: no such folder",
        ),
        (
            &["ask", "-m", "absent.gguf", "hi"],
            &[],
            "absent.gguf: no such file",
        ),
        (&["ask", "-m", "empty", "hi"], &[], "empty: not a model folder"),
        (&["ask", "-m", "nan0", "hi"], &[], "`nan0` does not name a model"),
        (&["ask", "-m", "org/name", "hi"], offline, "missing: all files"),
        (
            &["ask", "hi", "--device", "cuda:0"],
            &[],
            "cannot use the device `cuda:0`",
        ),
        (
            &["ask", "hi", "--image", "absent.png"],
            &[],
            "absent.png: cannot read",
        ),
        (
            &["ask", "hi", "--image", "empty"],
            &[],
            "empty: expected a picture, found a folder",
        ),
        (
            &["ask", "hi", "--image", "doc.png"],
            &[],
            "doc.png: PDF documents are not supported yet",
        ),
        (
            &["ask", "hi", "--image", "clip.png"],
            &[],
            "clip.png: video is not supported yet",
        ),
        (
            &["ocr", "doc.png"],
            &[],
            "doc.png: PDF documents are not supported yet",
        ),
        (&["ocr", "clip.png"], &[], "clip.png: video is not supported yet"),
        (&["ocr", "bad\nname.png"], &[], "bad name.png: PDF"),
        (&["ocr", "empty"], &[], "empty: the folder holds no pictures"),
        (&["ocr", "absent.png"], &[], "absent.png: cannot read"),
        (
            &["models", "pull", "org/name"],
            offline,
            "org/name is not complete in the cache and offline mode is on",
        ),
        (&["models", "pull", "org/../name"], &[], "does not name a model"),
        (
            &["models", "pull", "./half"],
            &[],
            "is on this machine, not on a hub",
        ),
        (
            &["models", "pull", "org/name"],
            &[("HF_ENDPOINT", "ftp://x")],
            "`ftp://x` cannot be used",
        ),
        (
            &["models", "show", "org/name"],
            &[],
            "org/name is not on this machine",
        ),
        (&["models", "show", "half"], &[], "no weights in half"),
        (&["models", "show", "broken"], &[], "broken"),
        (&["models", "rm", "org/name"], &[], "org/name is not in the cache"),
        (
            &["models", "rm", "nano"],
            &[],
            "nano is built in and cannot be removed",
        ),
        (
            &["models", "rm", "./half"],
            &[],
            "is not in the cache, so it is not removed",
        ),
        (&["verify", "empty"], &[], "empty: not a case"),
        (
            &["train", "absent.toml", "-o", "out"],
            &[],
            "absent.toml: no such recipe",
        ),
        (
            &["train", "nano.toml", "-o", "out"],
            &[],
            "nano.toml: model.folder names models/nano, which does not exist",
        ),
        (
            &[
                "data",
                "synth",
                "--fonts",
                "fonts",
                "--corpus",
                "table.bin",
                "-o",
                "out",
            ],
            &[],
            "table.bin`: not a text file",
        ),
    ];
    for (arguments, environment, text) in cases {
        let outcome = place.run(arguments, environment);
        assert_eq!(outcome.code, 1, "{arguments:?}: {}", outcome.stderr);
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        assert!(
            matches!(&lines[..], [error, hint] if error.starts_with("error: ") && hint.starts_with("hint: ")),
            "{arguments:?}: {}",
            outcome.stderr
        );
        assert!(lines[0].contains(text), "{arguments:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
    assert!(
        place.path().join("half/config.json").is_file(),
        "`rm` touches nothing of the user's"
    );
}

#[test]
fn a_batch_reports_what_fails_and_goes_on() {
    let place = Place::new();
    let outcome = place.run(&["models", "rm", "org/one", "nano", "org/two"], &[]);
    assert_eq!(outcome.code, 1);
    let errors: Vec<&str> = outcome
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(
        errors,
        [
            "error: org/one is not in the cache",
            "error: nano is built in and cannot be removed",
            "error: org/two is not in the cache"
        ]
    );
}
