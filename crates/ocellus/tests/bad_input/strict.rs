//! What a checkpoint has that nothing knows: a warning on standard error and in JSON, and an error with `--strict`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::place::{Place, edit, png, reweigh};
use ocellus_weights::Dtype;

/// What is different, how, and what is said of it.
type Row = (&'static str, fn(&Path), &'static str);

#[test]
fn warnings_are_told_and_refused_on_request() {
    let cases: [Row; 4] = [
        (
            "a field of the config",
            |f| edit(&f.join("config.json"), json!({ "some_new_field": 1 })),
            "config field `some_new_field` = 1 is not known to family `qwen2_5_vl`",
        ),
        (
            "a field of the tower",
            |f| {
                let mut config: Value =
                    serde_json::from_slice(&fs::read(f.join("config.json")).unwrap()).unwrap();
                config["vision_config"]["some_new_field"] = json!("x");
                fs::write(f.join("config.json"), config.to_string()).unwrap();
            },
            "config field `vision_config.some_new_field`",
        ),
        (
            "a head of a trainer",
            |f| {
                reweigh(f, |tensors| {
                    tensors.push(("value_head.weight".into(), Dtype::F32, vec![1], vec![0; 4]))
                });
            },
            "no use for the tensors value_head.weight",
        ),
        (
            "a table of zeros",
            |f| {
                reweigh(f, |tensors| {
                    let table = tensors
                        .iter_mut()
                        .find(|t| t.0 == "model.embed_tokens.weight")
                        .unwrap();
                    table.3.fill(0);
                });
            },
            "the matrix `model.embed_tokens.weight` holds nothing but zeros",
        ),
    ];
    let place = Place::new();
    place.write("dot.png", png(1, 1));
    for (name, change, text) in cases {
        change(&place.model(name));
        let folder = format!("./{name}");
        let ask = |more: &[&str]| {
            let all = [
                "ask",
                "-m",
                &folder,
                "--image",
                "dot.png",
                "hi",
                "--max-tokens",
                "1",
            ];
            place.run(&[&all[..], more].concat())
        };
        let told = ask(&["--format", "json"]);
        let lines: Vec<&str> = told.stderr().lines().collect();
        assert!(
            matches!(&lines[..], [line, cut] if line.starts_with("warning: ") && line.contains(text) && cut.contains("cut after")),
            "{name}: {lines:?}"
        );
        let answer: Value = serde_json::from_str(&told.stdout).unwrap();
        assert!(
            answer["warnings"].as_array().unwrap().last().unwrap()["message"]
                .as_str()
                .unwrap()
                .contains(text),
            "{name}: {answer}"
        );
        ask(&["--quiet"]).fine();
        ask(&["--strict"]).refused(text);
    }
}

#[test]
fn weights_that_are_no_numbers_are_told_and_give_no_answer() {
    let place = Place::new();
    place.write("dot.png", png(1, 1));
    reweigh(&place.model("nan"), |tensors| {
        let table = tensors
            .iter_mut()
            .find(|t| t.0 == "model.embed_tokens.weight")
            .unwrap();
        // NaN in each of the types that a golden may have.
        table.3.fill(0xff);
    });
    let all = [
        "ask",
        "-m",
        "./nan",
        "--image",
        "dot.png",
        "hi",
        "--max-tokens",
        "1",
    ];
    let told = place.run(&all);
    assert!(
        told.stderr().contains("holds no numbers (NaN)"),
        "{}",
        told.stderr()
    );
    assert!(told.stderr().contains("computes no numbers for the next token"));
    assert_eq!(told.stdout, "");
    place
        .run(&[&all[..], &["--strict"]].concat())
        .refused("holds no numbers (NaN)");
}
