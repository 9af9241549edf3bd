//! What abilities give is what the references compute.

use candle_core::{Device, Tensor};
use ocellus_models::{Regions, VisualInput};
use ocellus_testkit::{Case, assert_close};

use crate::checkpoint::{
    expected, flat, integers, matched, model, picture, single_stream, slices, two_streams,
};

/// `1 / (1 + e^(other - own))` for logits in pairs.
fn share(logits: &[f32], own: usize) -> Vec<f32> {
    let pairs = logits.chunks(2);
    pairs.map(|l| 1.0 / (1.0 + (l[1 - own] - l[own]).exp())).collect()
}

fn near(name: &str, got: &[f32], expected: &[f32]) {
    assert_close(name, got, expected, 2e-4, 1e-4);
}

#[test]
fn scores_of_pairs_are_the_references() {
    let case = Case::golden("uniter-mlm-itm");
    let (texts, regions) = single_stream(&case);
    let got = matched(model("uniter-mlm-itm").as_ref(), &texts, &regions);
    near("one stream", &got, &share(&expected(&case, "itm_logits"), 1));

    let case = Case::golden("vilbert-pretrain");
    let (texts, regions) = two_streams(&case);
    let got = matched(model("vilbert-pretrain").as_ref(), &texts, &regions);
    near("two streams", &got, &share(&expected(&case, "itm_logits"), 0));

    let case = Case::golden("vilbert-vqa");
    let (texts, regions) = two_streams(&case);
    let got = matched(model("vilbert-vqa").as_ref(), &texts, &regions);
    let wanted: Vec<f32> = expected(&case, "retrieval_logit")
        .iter()
        .map(|x| 1.0 / (1.0 + (-x).exp()))
        .collect();
    near("retrieval", &got, &wanted);
}

#[test]
fn scores_of_answers_are_the_references() {
    for (name, stage) in [("uniter-vqa", "answer_logits"), ("vilbert-vqa", "vqa_logits")] {
        let (case, model) = (Case::golden(name), model(name));
        let (texts, regions) = if name.starts_with("u") {
            single_stream(&case)
        } else {
            two_streams(&case)
        };
        let classifier = model.classifier().expect("it answers");
        let got = classifier
            .answers(&VisualInput::Regions(regions), &slices(&texts))
            .unwrap();
        near(name, &flat(&got), &expected(&case, stage));
        assert!(classifier.labels().is_empty(), "{name} has no texts of answers");
    }
}

#[test]
fn words_and_hidden_regions_are_the_references() {
    let case = Case::golden("uniter-mlm-itm");
    let (texts, regions) = single_stream(&case);
    let found = model("uniter-mlm-itm");
    let visual = VisualInput::Regions(regions);
    let words = found
        .mlm_head()
        .expect("it fills")
        .token_logits(&visual, &slices(&texts))
        .unwrap();
    let labels = integers(&case, "txt_labels")
        .into_iter()
        .zip(integers(&case, "txt_mask"));
    let at: Vec<u32> = (0u32..)
        .zip(labels.filter(|(_, real)| *real != 0))
        .filter(|(_, (label, _))| *label >= 0)
        .map(|(i, _)| i)
        .collect();
    let at = Tensor::new(at, &Device::Cpu).unwrap();
    near(
        "words",
        &flat(&words.index_select(&at, 0).unwrap()),
        &expected(&case, "mlm_logits"),
    );

    let case = Case::golden("uniter-mrfr-mrc");
    let (texts, regions) = single_stream(&case);
    let masks = integers(&case, "img_masks");
    let columns = masks.len() / texts.len();
    let hidden: Vec<Vec<usize>> = masks
        .chunks(columns)
        .map(|row| (0..columns).filter(|i| row[*i] != 0).collect())
        .collect();
    let hidden: Vec<&[usize]> = hidden.iter().map(Vec::as_slice).collect();
    let model = model("uniter-mrfr-mrc");
    let head = model.masked_region_head().expect("it fills regions");
    let got = head
        .predictions(&VisualInput::Regions(regions), &slices(&texts), &hidden)
        .unwrap();
    near(
        "classes",
        &flat(&got.classes.unwrap()),
        &expected(&case, "mrc_logits"),
    );
    near(
        "features",
        &flat(&got.features.unwrap()),
        &expected(&case, "mrfr"),
    );
}

#[test]
fn words_of_a_text_leave_out_the_token_of_the_task() {
    let case = Case::golden("vilbert-multitask");
    let (texts, regions) = two_streams(&case);
    let model = model("vilbert-multitask");
    let head = model.mlm_head().unwrap();
    let words = head
        .token_logits(&VisualInput::Regions(regions), &slices(&texts))
        .unwrap();
    assert_eq!(words.dim(0).unwrap(), texts.iter().map(Vec::len).sum::<usize>());
}

#[test]
fn plans_carry_all_words_to_regions_at_the_references_price() {
    let case = Case::golden("uniter-mlm-itm");
    let (texts, regions) = single_stream(&case);
    let model = model("uniter-mlm-itm");
    let counts: Vec<usize> = regions.iter().map(|r| r.boxes.len()).collect();
    let aligner = model.aligner().expect("it aligns");
    let found = aligner
        .alignments(&VisualInput::Regions(regions), &slices(&texts))
        .unwrap();
    for ((found, text), count) in found.iter().zip(&texts).zip(counts) {
        assert_eq!(found.plan.dims(), [text.len(), count]);
        near("weight", &[flat(&found.plan).iter().sum()], &[1.0]);
    }
    let targets = integers(&case, "targets");
    for (name, class) in [("ot_dist_positive", 1), ("ot_dist_negative", 0)] {
        let own = found.iter().zip(&targets).filter(|(_, t)| **t == class);
        let got: Vec<f32> = own.map(|(found, _)| found.distance).collect();
        near(name, &got, &expected(&case, name));
    }
}

#[test]
fn a_pair_alone_is_a_pair_among_others() {
    for (name, streams) in [("uniter-mlm-itm", 1), ("vilbert-pretrain", 2)] {
        let (case, model) = (Case::golden(name), model(name));
        let (texts, regions) = if streams == 1 {
            single_stream(&case)
        } else {
            two_streams(&case)
        };
        let together = matched(model.as_ref(), &texts, &regions);
        for (i, score) in together.iter().enumerate() {
            let alone = matched(model.as_ref(), &texts[i..=i], &regions[i..=i]);
            assert_eq!(alone, [*score], "{name}, pair {i}");
        }
    }
}

#[test]
fn what_is_hidden_is_not_seen() {
    for name in ["uniter-mrfr-mrc", "vilbert-pretrain"] {
        let (case, model) = (Case::golden(name), model(name));
        let (texts, regions) = if name.starts_with("u") {
            single_stream(&case)
        } else {
            two_streams(&case)
        };
        let guess = |region: &Regions, hidden: &[usize]| {
            let visual = VisualInput::Regions(vec![region.clone()]);
            let got = model
                .masked_region_head()
                .unwrap()
                .predictions(&visual, &[&texts[0]], &[hidden])
                .unwrap();
            flat(&got.classes.unwrap())
        };
        let mut other = regions[0].clone();
        let rest = other.features.narrow(0, 1, other.boxes.len() - 1).unwrap();
        let first = other.features.narrow(0, 0, 1).unwrap().affine(-3.0, 1.0).unwrap();
        other.features = Tensor::cat(&[first, rest], 0).unwrap();
        assert_eq!(guess(&regions[0], &[0]), guess(&other, &[0]), "{name}");
        assert_ne!(guess(&regions[0], &[1]), guess(&other, &[1]), "{name}");
    }
}

#[test]
fn nothing_hidden_is_nothing_guessed() {
    for name in ["uniter-mrfr-mrc", "vilbert-pretrain"] {
        let model = model(name);
        let visual = VisualInput::Regions(vec![picture()]);
        let got = model
            .masked_region_head()
            .unwrap()
            .predictions(&visual, &[&[1, 2]], &[&[]]);
        assert_eq!(got.unwrap().classes.unwrap().dims(), [0, 11], "{name}");
    }
}
