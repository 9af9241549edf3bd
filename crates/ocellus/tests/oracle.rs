//! `ocellus verify --oracle`: recorded answers of published programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn records() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle")
}

/// Exit code, standard output and standard error.
fn oracle(paths: &[&Path], more: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ocellus"))
        .args(["verify", "--oracle"])
        .args(paths)
        .args(more)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn all_recorded_answers_of_followed_programs_are_equal() {
    let (code, out, err) = oracle(&[&records()], &["--format", "json"]);
    assert_eq!(code, 0, "{out}{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let files = report["files"].as_array().unwrap();
    assert_eq!(files.len(), 2, "{out}");
    for (file, cases, followed) in [(&files[0], 97, 3), (&files[1], 160, 1)] {
        assert_eq!(file["cases"], cases, "{out}");
        let programs = file["programs"].as_array().unwrap();
        let programs: Vec<_> = programs.iter().filter(|p| p["followed"] == true).collect();
        assert_eq!(programs.len(), followed, "{out}");
        assert!(programs.iter().all(|p| p["equal"] == cases), "{out}");
    }
}

#[test]
fn the_first_answer_that_differs_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(records().join("smart_resize.jsonl")).unwrap();
    let changed = text.replacen(
        r#""transformers 5.24.0": [784, 112]"#,
        r#""transformers 5.24.0": [784, 140]"#,
        1,
    );
    assert_ne!(text, changed);
    let file = folder.path().join("smart_resize_more.jsonl");
    fs::write(&file, changed).unwrap();
    let (code, out, _) = oracle(&[&file], &[]);
    assert_eq!(code, 1, "{out}");
    for part in [
        "159 of 160 equal",
        "first that differs: smart_resize-d000",
        "[784,140]",
        "[784,112]",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn what_cannot_be_answered_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let line = r#"{"id": "a", "in": {"height": 28, "width": 28, "factor": 28}, "ref": {"transformers 5.24.0": [56, 56]}}"#;
    for (name, content, code, part) in [
        (
            "sampling.jsonl",
            line,
            2,
            "no kind of records is called `sampling`",
        ),
        ("smart_resize.jsonl", "{", 1, "line 1: EOF"),
        (
            "smart_resize_a.jsonl",
            r#"{"id": "a", "in": {"height": -1}, "ref": {"transformers 5.24.0": 1}}"#,
            1,
            "a: invalid value",
        ),
        (
            "smart_resize_b.jsonl",
            r#"{"id": "a", "in": {}, "ref": {"other 1": 1}}"#,
            1,
            "no answer of a program that is followed",
        ),
        (
            "smart_resize_c.jsonl",
            "",
            1,
            "no answer of a program that is followed",
        ),
        (
            "mrope_time_ids_a.jsonl",
            r#"{"id": "b", "in": {"text_before": 1, "text_after": 1, "video_grid_thw": [4294967296, 4294967296, 4], "second_per_grid_ts": 1, "tokens_per_second": 2}, "ref": {"transformers 5.24.0": {}}}"#,
            1,
            "b: expected 1 to 1048576 patches",
        ),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        let (found, out, err) = oracle(&[&file], &[]);
        assert_eq!(found, code, "{name}: {out}{err}");
        assert!(out.contains(part), "{name}: {part}: {out}");
    }
    let (code, _, err) = oracle(&[&folder.path().join("nowhere.jsonl")], &[]);
    assert_eq!(code, 2, "{err}");
    let empty = tempfile::tempdir().unwrap();
    let (code, _, err) = oracle(&[empty.path()], &[]);
    assert_eq!((code, err.contains("no file of records")), (1, true), "{err}");
}
