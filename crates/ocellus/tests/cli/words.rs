//! `fill`, `caption` and `ask` on small checkpoints of every family that has them.

use serde_json::{Value, json};

use crate::abilities::{CAPTIONED, CHOSEN, FILLED, WRITTEN, answer, list, number, place};
use crate::checkpoints::{PICTURE, REGIONS, SENTENCES, add, checkpoint, configure};

#[test]
fn every_mask_gets_as_many_words_as_asked_for() {
    let place = place();
    for (case, regions) in FILLED {
        checkpoint(&place.path().join(case), (case, SENTENCES), ".safetensors");
        let folder = format!("./{case}");
        let regions: &[&str] = if *regions { &["--regions", REGIONS] } else { &[] };
        for (text, count) in [("a [MASK]", 1), ("[MASK] cat [MASK]", 2)] {
            let fill = ["fill", "-m", &folder, PICTURE, text, "--top", "3"];
            let answer = answer(&place, &[&fill, regions].concat());
            let masks = list(&answer, "masks");
            assert_eq!(masks.len(), count, "{case}: {answer}");
            for words in masks.iter().map(|m| m.as_array().unwrap()) {
                let shares: Vec<f64> = words.iter().map(|w| number(&w["probability"])).collect();
                assert_eq!(shares.len(), 3, "{answer}");
                assert!(
                    shares.is_sorted_by(|a, b| a >= b) && shares.iter().sum::<f64>() <= 1.0001,
                    "{answer}"
                );
                assert!(
                    words
                        .iter()
                        .all(|w| w["word"].as_str().is_some_and(|w| !w.is_empty())),
                    "{answer}"
                );
            }
        }
    }
}

#[test]
fn pictures_get_captions() {
    let place = place();
    place.write("broken.png", "no picture");
    for case in CAPTIONED {
        checkpoint(&place.path().join(case.0), *case, ".safetensors");
        let folder = format!("./{}", case.0);
        for more in [&["--beams", "1"][..], &["--beams", "4", "--prompt", "a photo"]] {
            let caption = ["caption", "-m", &folder, PICTURE, "--max-tokens", "6"];
            let answer = answer(&place, &[&caption, more].concat());
            assert!(
                answer["text"].is_string() && answer["score"].is_number(),
                "{answer}"
            );
            assert_eq!(
                (&answer["source"], &answer["model"]),
                (&json!(PICTURE), &json!(folder))
            );
            assert!((1..=6).contains(&list(&answer, "token_ids").len()), "{answer}");
        }
        let batch = place.run(
            &[
                "caption",
                "-m",
                &folder,
                "broken.png",
                PICTURE,
                "--max-tokens",
                "4",
            ],
            &[],
        );
        assert_eq!(
            (batch.code, batch.stdout.lines().count()),
            (1, 1),
            "{}",
            batch.stdout
        );
        assert!(
            batch.stdout.starts_with(&format!("{PICTURE}: ")),
            "{}",
            batch.stdout
        );
        assert!(
            batch.stderr.contains("broken.png: not a picture"),
            "{}",
            batch.stderr
        );
    }
}

#[test]
fn keys_and_values_in_8_bits_change_scores_a_little() {
    let place = place();
    for case in CAPTIONED {
        checkpoint(&place.path().join(case.0), *case, ".safetensors");
        let folder = format!("./{}", case.0);
        let caption = [
            "caption",
            "-m",
            &folder,
            PICTURE,
            "--prompt",
            "a photo",
            "--max-tokens",
            "2",
        ];
        let rounded = [&caption[..], &["--kv-cache", "q8"]].concat();
        if case.0 == "blip_2-t5" {
            // Adds relative positions to its scores, which is done on tensors.
            let refused = place.run(&rounded, &[]);
            assert_eq!(refused.code, 2, "{}", refused.stderr);
            assert!(
                refused.stderr.contains("leave out --kv-cache"),
                "{}",
                refused.stderr
            );
            continue;
        }
        let (whole, rounded) = (answer(&place, &caption), answer(&place, &rounded));
        let (whole, rounded) = (number(&whole["score"]), number(&rounded["score"]));
        let apart = (whole - rounded).abs();
        assert!(apart > 0.0 && apart < 0.02 * whole.abs(), "{whole} and {rounded}");
    }
}

#[test]
fn answers_are_written_or_picked_from_a_list() {
    let place = place();
    place.write("answers.txt", "a cat\n\n  two dog \nred\n");
    for case in WRITTEN {
        checkpoint(&place.path().join(case.0), *case, ".safetensors");
        let folder = format!("./{}", case.0);
        let ask = ["ask", "-m", &folder, "--image", PICTURE, "what is this?"];
        let written = answer(&place, &[&ask[..], &["--max-tokens", "5"]].concat());
        assert!(written["text"].is_string(), "{written}");
        assert!(
            ["stop", "length"].contains(&written["finish_reason"].as_str().unwrap()),
            "{written}"
        );
        assert!((1..=5).contains(&list(&written, "token_ids").len()), "{written}");
        let picked = answer(&place, &[&ask[..], &["--answers", "answers.txt"]].concat());
        let texts: Vec<&str> = list(&picked, "answers")
            .iter()
            .filter_map(|a| a["text"].as_str())
            .collect();
        let likely: Vec<f64> = list(&picked, "answers")
            .iter()
            .map(|a| number(&a["log_likelihood"]))
            .collect();
        assert_eq!(picked["text"], texts[0]);
        assert!(likely.is_sorted_by(|a, b| a >= b) && likely[0] < 0.0, "{picked}");
        let mut sorted = texts.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, ["a cat", "red", "two dog"]);
        let text = place.run(&[&ask[..], &["--answers", "answers.txt"]].concat(), &[]);
        assert_eq!(text.stdout.trim_end(), texts[0]);
    }
}

/// A model that compares two pictures is shown two, and refuses any other number.
#[test]
fn two_pictures_are_compared() {
    let place = place();
    checkpoint(
        &place.path().join("pair"),
        ("vilt-nlvr2", SENTENCES),
        ".safetensors",
    );
    let ask = ["ask", "-m", "./pair", "the cat is red", "--image", PICTURE];
    let told = answer(&place, &[&ask[..], &["--image", PICTURE]].concat());
    let shares: Vec<f64> = list(&told, "answers")
        .iter()
        .map(|a| number(&a["probability"]))
        .collect();
    // Right and wrong share one probability.
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{told}");
    let refused = place.run(&ask, &[]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("exactly 2 pictures, not 1") && refused.stderr.contains("give --image twice"),
        "{}",
        refused.stderr
    );
}

#[test]
fn answers_of_a_fixed_list_have_the_names_of_the_config() {
    let place = place();
    for (case, count, regions) in CHOSEN {
        checkpoint(&place.path().join(case), (case, SENTENCES), ".safetensors");
        let folder = format!("./{case}");
        // What a detector found stands for the picture; the picture may be named as well.
        let sights: &[&[&str]] = match regions {
            true => &[
                &["--regions", REGIONS],
                &["--regions", REGIONS, "--image", PICTURE],
            ],
            false => &[&["--image", PICTURE]],
        };
        let mut before = None;
        for sight in sights {
            let ask = [&["ask", "-m", &folder, "what is this?"][..], sight].concat();
            let answer = answer(&place, &ask);
            let answers = list(&answer, "answers");
            assert_eq!(
                (&answer["text"], answers.len()),
                (&answers[0]["text"], 5),
                "{answer}"
            );
            let shares: Vec<f64> = answers.iter().map(|a| number(&a["probability"])).collect();
            assert!(shares.is_sorted_by(|a, b| a >= b) && shares[0] <= 1.0, "{answer}");
            assert!(
                before.replace(answer.clone()).is_none_or(|b| b == answer),
                "{answer}"
            );
        }
        let labels: serde_json::Map<String, Value> = (0..*count)
            .map(|i| (i.to_string(), json!(format!("answer {i}"))))
            .collect();
        configure(&place.path().join(case), json!({"id2label": labels}));
        let named = answer(
            &place,
            &[&["ask", "-m", &folder, "what is this?"][..], sights[0]].concat(),
        );
        assert!(
            named["text"].as_str().is_some_and(|t| t.starts_with("answer ")),
            "{named}"
        );
    }
}

/// No golden case of this family answers questions; its published files for that have these tensors beside the others.
#[test]
fn a_checkpoint_with_a_head_for_answers_is_asked() {
    let (place, width, answers) = (place(), 32, 6);
    checkpoint(
        &place.path().join("vlmo"),
        ("vlmo-base", SENTENCES),
        ".safetensors",
    );
    add(
        &place.path().join("vlmo/model.safetensors"),
        &[
            ("vqa_classifier.0.weight", &[2 * width, width]),
            ("vqa_classifier.0.bias", &[2 * width]),
            ("vqa_classifier.1.weight", &[2 * width]),
            ("vqa_classifier.1.bias", &[2 * width]),
            ("vqa_classifier.3.weight", &[answers, 2 * width]),
            ("vqa_classifier.3.bias", &[answers]),
        ],
    );
    let labels: serde_json::Map<String, Value> = (0..answers)
        .map(|i| (i.to_string(), json!(format!("answer {i}"))))
        .collect();
    configure(
        &place.path().join("vlmo"),
        json!({"id2label": labels, "vqav2_label_size": answers}),
    );
    let answer = answer(
        &place,
        &["ask", "-m", "./vlmo", "--image", PICTURE, "what is this?"],
    );
    assert!(
        answer["text"].as_str().is_some_and(|t| t.starts_with("answer ")),
        "{answer}"
    );
    assert_eq!(list(&answer, "answers").len(), 5);
}
