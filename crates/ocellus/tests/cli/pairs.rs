//! `score`, `classify` and `embed` on small checkpoints of every family that has them.

use serde_json::Value;

use crate::abilities::{BY_PARTS, PAIRS, SCORED, answer, list, number, place};
use crate::checkpoints::{PICTURE, REGIONS, SENTENCES, checkpoint};

#[test]
fn scores_are_probabilities_and_cosines() {
    let place = place();
    let texts = ["a cat", "two red dog on the mat"];
    for (case, regions, (matched, similar)) in SCORED {
        checkpoint(&place.path().join(case.0), *case, ".safetensors");
        let folder = format!("./{}", case.0);
        let mut arguments = vec!["score", "-m", &folder, PICTURE, texts[0], texts[1]];
        if *regions {
            arguments.extend(["--regions", REGIONS]);
        }
        let answer = answer(&place, &arguments);
        let scores = list(&answer, "scores");
        assert_eq!(scores.len(), 2, "{answer}");
        for (score, text) in scores.iter().zip(texts) {
            assert_eq!(score["text"], text);
            assert_eq!(
                (score["match"].is_number(), score["similarity"].is_number()),
                (*matched, *similar),
                "{answer}"
            );
            assert!(
                !matched || (0.0..=1.0).contains(&number(&score["match"])),
                "{answer}"
            );
            assert!(
                !similar || (-1.00001..=1.00001).contains(&number(&score["similarity"])),
                "{answer}"
            );
        }
        assert_ne!(
            (&scores[0]["match"], &scores[0]["similarity"]),
            (&scores[1]["match"], &scores[1]["similarity"])
        );
        // A text alone has the score that it has beside others, and a table has the same rows.
        let alone = crate::abilities::answer(&place, &[&arguments[..4], &arguments[5..]].concat());
        for key in ["match", "similarity"] {
            let (one, both) = (&alone["scores"][0][key], &scores[1][key]);
            assert!(
                one == both || (number(one) - number(both)).abs() < 1e-5,
                "{case:?}: {one} {both}"
            );
        }
        let table = place.run(&arguments, &[]);
        assert_eq!(table.stdout.lines().count(), 3, "{}", table.stdout);
    }
}

#[test]
fn torch_files_give_what_safetensors_give() {
    let place = place();
    for (case, ending, regions) in [
        ("albef-itc-itm-mlm", ".pth", false),
        ("vlmo-base", ".pt", false),
        ("uniter-mlm-itm", ".pt", true),
        ("vilbert-pretrain", ".bin", true),
    ] {
        let scores = [".safetensors", ending].map(|weights| {
            let name = format!("{case}{weights}");
            checkpoint(&place.path().join(&name), (case, SENTENCES), weights);
            let folder = format!("./{name}");
            let mut arguments = vec!["score", "-m", &folder, PICTURE, "a cat", "the dog"];
            if regions {
                arguments.extend(["--regions", REGIONS]);
            }
            answer(&place, &arguments)["scores"].clone()
        });
        assert_eq!(scores[0], scores[1], "{case}");
    }
}

#[test]
fn labels_share_one() {
    let place = place();
    for case in PAIRS {
        checkpoint(&place.path().join(case.0), *case, ".safetensors");
        let folder = format!("./{}", case.0);
        let answer = answer(&place, &["classify", "-m", &folder, PICTURE, "cat", "dog", "mat"]);
        let shares: Vec<f64> = list(&answer, "labels")
            .iter()
            .map(|l| number(&l["probability"]))
            .collect();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{answer}");
        assert!(shares.is_sorted_by(|a, b| a >= b), "{answer}");
        let mut labels: Vec<&str> = list(&answer, "labels")
            .iter()
            .filter_map(|l| l["label"].as_str())
            .collect();
        labels.sort_unstable();
        assert_eq!(labels, ["cat", "dog", "mat"]);
        let other = place.run(
            &[
                "classify",
                "-m",
                &folder,
                PICTURE,
                "cat",
                "dog",
                "--template",
                "{} red",
            ],
            &[],
        );
        assert_eq!(
            (other.code, other.stdout.lines().count()),
            (0, 2),
            "{}",
            other.stderr
        );
    }
}

#[test]
fn vectors_have_length_1_and_give_the_similarity() {
    let place = place();
    for case in PAIRS {
        checkpoint(&place.path().join(case.0), *case, ".safetensors");
        let folder = format!("./{}", case.0);
        let outcome = place.run(
            &[
                "embed", "-m", &folder, PICTURE, "a cat", "the dog", "--format", "json",
            ],
            &[],
        );
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{case:?}");
        let rows: Vec<Value> = outcome
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let kinds: Vec<(&str, &str)> = rows
            .iter()
            .map(|r| (r["input"].as_str().unwrap(), r["kind"].as_str().unwrap()))
            .collect();
        assert_eq!(
            kinds,
            [(PICTURE, "image"), ("a cat", "text"), ("the dog", "text")]
        );
        let misspelt = place.run(&["embed", "-m", &folder, "nofile.png"], &[]);
        assert_eq!((misspelt.code, misspelt.stdout.as_str()), (1, ""), "{case:?}");
        assert!(
            misspelt.stderr.contains("nofile.png: no such file"),
            "{}",
            misspelt.stderr
        );
        let plan = place.run(&["models", "plan", &folder, "--format", "json"], &[]);
        let plan: Value = serde_json::from_str(&plan.stdout).expect("JSON");
        assert!(plan["weights_bytes"].as_u64() > Some(0), "{case:?}: {plan}");
        let vectors: Vec<Vec<f64>> = rows
            .iter()
            .map(|r| list(r, "embedding").iter().map(number).collect())
            .collect();
        let times = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!(vectors.iter().all(|v| v.len() == vectors[0].len()), "{case:?}");
        for vector in &vectors {
            assert!((times(vector, vector) - 1.0).abs() < 1e-4, "{case:?}");
        }
        if case.0 == BY_PARTS {
            continue;
        }
        let score = answer(&place, &["score", "-m", &folder, PICTURE, "a cat", "the dog"]);
        for (text, score) in vectors[1..].iter().zip(list(&score, "scores")) {
            let (product, similarity) = (times(&vectors[0], text), number(&score["similarity"]));
            assert!(
                (product - similarity).abs() < 1e-5,
                "{case:?}: {product} {similarity}"
            );
        }
    }
}
