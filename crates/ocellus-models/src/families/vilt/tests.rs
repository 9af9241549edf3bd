//! Refused configs and inputs, and capabilities compared with the reference.

use candle_core::{D, Tensor};
use ocellus_nn::Taps;
use ocellus_testkit::{assert_close, test_each};
use serde_json::json;

use crate::families::testing::{Golden, refused, slices};
use crate::visual_input::VisualInput;

const PATCH: usize = 16;
/// Real tokens, and sizes in px, of the two rows of every case.
const LENGTHS: [usize; 2] = [7, 5];
const SIZES: [(usize, usize); 2] = [(48, 64), (32, 48)];

fn flat(t: Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn what_cannot_be_computed_is_refused_by_name() {
    let table = [
        ("vilt-vqa", "num_attention_heads", json!(5), "num_attention_heads"),
        ("vilt-vqa", "patch_size", json!(64), "patch_size"),
        ("vilt-vqa", "image_size", json!([48, 48]), "image_size"),
        (
            "vilt-vqa",
            "image_size",
            json!(64),
            "vilt.embeddings.position_embeddings",
        ),
        ("vilt-vqa", "hidden_act", json!("mish"), "hidden_act"),
        (
            "vilt-vqa",
            "architectures",
            json!(["ViltForMaskedLM"]),
            "mlm_score",
        ),
        (
            "vilt-vqa",
            "architectures",
            json!(["ViltForImagesAndTextClassification"]),
            "num_images",
        ),
        (
            "vilt-vqa",
            "modality_type_vocab_size",
            json!(1),
            "modality_type_vocab_size",
        ),
        (
            "vilt-vqa",
            "id2label",
            json!({ "0": "yes", "2": "no" }),
            "id2label",
        ),
        (
            "vilt-vqa",
            "id2label",
            json!({ "0": "yes" }),
            "classifier.3.weight",
        ),
        (
            "vilt-vqa",
            "qkv_bias",
            json!(false),
            "attention.attention.key.bias",
        ),
        (
            "vilt-vqa",
            "type_vocab_size",
            json!(3),
            "token_type_embeddings.weight",
        ),
        ("vilt-nlvr2", "num_images", json!(3), "modality_type_vocab_size"),
        ("vilt-nlvr2", "num_images", json!(1.5), "num_images"),
    ];
    let named =
        table.map(|(case, path, value, part)| (format!("{path} = {value}"), (case, path, value, part)));
    test_each(named, |(case, path, value, part)| {
        refused(Golden::open(case).set(path, value.clone()).load(), part);
    });
}

#[test]
fn answers_are_the_references_and_do_not_depend_on_neighbours() {
    let labels = ["yes", "no", "2", "red", "a", "b", "c"];
    let named: serde_json::Map<_, _> = (0..7).map(|i| (i.to_string(), json!(labels[i]))).collect();
    let golden = Golden::open("vilt-vqa").set("id2label", named.into());
    let model = golden.load().unwrap();
    let classifier = model.classifier().unwrap();
    assert_eq!(classifier.labels(), labels);
    assert!(model.matcher().is_none() && model.mlm_head().is_none() && model.generator().is_none());
    let texts = golden.texts("input_ids", &LENGTHS);
    let visual = golden.visual("pixel_values", PATCH, Some(&SIZES));
    let both = flat(classifier.answers(&visual, &slices(&texts)).unwrap());
    golden.case.assert_close("logits", &both);
    let (patches, grids) = visual.pictures().unwrap();
    let second = VisualInput::Pictures {
        patches: patches.narrow(0, 12, 6).unwrap(),
        grids: vec![grids[1]],
    };
    assert_eq!(
        flat(classifier.answers(&second, &[&texts[1]]).unwrap()),
        both[7..]
    );
}

#[test]
fn one_text_is_answered_over_two_pictures() {
    let golden = Golden::open("vilt-nlvr2");
    let model = golden.load().unwrap();
    let classifier = model.classifier().unwrap();
    assert_eq!(classifier.labels(), ["LABEL_0", "LABEL_1"]);
    let texts = golden.texts("input_ids", &LENGTHS);
    let visual = golden.visual("pixel_values", PATCH, None);
    golden.case.assert_close(
        "logits",
        &flat(classifier.answers(&visual, &slices(&texts)).unwrap()),
    );
    refused(
        classifier.answers(&visual, &[&texts[0]]),
        "the pictures has 4, expected 2 a text, 2",
    );
}

#[test]
fn ranks_become_probabilities() {
    let golden = Golden::open("vilt-retrieval");
    let model = golden.load().unwrap();
    let visual = golden.visual("pixel_values", PATCH, Some(&SIZES));
    let texts = golden.texts("input_ids", &LENGTHS);
    let pairs = model.matcher().unwrap().scores(&visual, &slices(&texts)).unwrap();
    let got: Vec<f32> = pairs.iter().map(|p| p.matched.unwrap()).collect();
    let ranks = golden.case.expect("logits").f32s();
    let wanted: Vec<f32> = ranks.iter().map(|rank| 1.0 / (1.0 + (-rank).exp())).collect();
    assert_close("probabilities", &got, &wanted, 1e-5, 1e-5);
}

#[test]
fn words_are_the_references_under_old_and_new_names() {
    let new = Golden::open("vilt-mlm");
    let texts = new.texts("input_ids", &LENGTHS);
    let visual = new.visual("pixel_values", PATCH, Some(&SIZES));
    let expected = new.case.expect("logits").f32s();
    let real: Vec<f32> = [&expected[..7 * 160], &expected[7 * 160..12 * 160]].concat();
    let old = Golden::open("vilt-mlm").rename("mlm_score.decoder.bias", "mlm_score.bias");
    let both = Golden::open("vilt-mlm").put("mlm_score.bias", &[160], vec![9.0; 160]);
    for golden in [new, old, both.put("mlm_score.decoder.weight", &[1], vec![0.0])] {
        let model = golden.load().unwrap();
        assert!(model.matcher().is_none());
        let words = model
            .mlm_head()
            .unwrap()
            .token_logits(&visual, &slices(&texts))
            .unwrap();
        assert_close("words", &flat(words), &real, 3e-4, 1e-4);
    }
}

#[test]
fn a_pretrained_checkpoint_with_a_matching_head_matches() {
    let (golden, width) = (Golden::open("vilt-mlm"), 32);
    let visual = golden.visual("pixel_values", PATCH, Some(&SIZES));
    let texts = golden.texts("input_ids", &LENGTHS);
    let matched = |bias: Vec<f32>| {
        let head = Golden::open("vilt-mlm").put("itm_score.fc.weight", &[2, width], vec![0.0; 2 * width]);
        let model = head.put("itm_score.fc.bias", &[2], bias).load().unwrap();
        let pairs = model.matcher().unwrap().scores(&visual, &slices(&texts)).unwrap();
        pairs[0].matched.unwrap()
    };
    // The second class is the one that matches.
    assert!((matched(vec![0.0, 1.0]) - 0.731_058_6).abs() < 1e-6);
    assert!((matched(vec![1.0, 0.0]) - 0.268_941_4).abs() < 1e-6);
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let golden = Golden::open("vilt-vqa");
    let model = golden.load().unwrap();
    let classifier = model.classifier().unwrap();
    let texts = golden.texts("input_ids", &LENGTHS);
    let visual = golden.visual("pixel_values", PATCH, Some(&SIZES));
    refused(
        classifier.answers(&visual, &[&texts[0]]),
        "the pictures has 2, expected 1 a text, 1",
    );
    refused(classifier.answers(&visual, &[&texts[0], &[]]), "a text has none");
    refused(
        classifier.answers(&visual, &[&texts[0], &[3; 17]]),
        "expected 1 to 16 tokens",
    );
    refused(classifier.answers(&visual, &[&texts[0], &[160]]), "token id 160");
    let few = Golden::open("vilt-vqa")
        .set("max_image_length", json!(11))
        .load()
        .unwrap();
    refused(
        few.classifier().unwrap().answers(&visual, &slices(&texts)),
        "at most 11 patches",
    );
    let enough = Golden::open("vilt-vqa")
        .set("max_image_length", json!(12))
        .load()
        .unwrap();
    assert!(
        enough
            .classifier()
            .unwrap()
            .answers(&visual, &slices(&texts))
            .is_ok()
    );

    let table = [
        (
            "a token type past the table",
            ("token_type_ids", vec![2, 7], "a token type"),
        ),
        (
            "types of another shape",
            ("token_type_ids", vec![7, 2], "input `token_type_ids`"),
        ),
        (
            "a mask of another size",
            ("pixel_mask", vec![2, 16, 64], "input `pixel_mask`"),
        ),
        (
            "a mask without a picture",
            ("pixel_mask", vec![0], "input `pixel_mask`"),
        ),
    ];
    test_each(table, |(name, shape, part)| {
        let mut given = golden.given();
        let count = shape.iter().product();
        given
            .integers
            .insert((*name).to_owned(), (shape.clone(), vec![2; count]));
        refused(model.trace(&given, &mut Taps::none()), part);
    });
    let mut given = golden.given();
    given.integers.get_mut("pixel_mask").unwrap().1[48 * 64..].fill(0);
    refused(model.trace(&given, &mut Taps::none()), "a picture");
}

#[test]
fn every_tensor_gets_a_gradient() {
    for case in ["vilt-vqa", "vilt-mlm"] {
        let golden = Golden::open(case);
        let (model, source) = golden.train();
        let mut scores = Vec::new();
        let mut listen = |name: &str, t: &Tensor| {
            if ["loss", "pooled"].contains(&name) {
                scores.push(t.sqr().and_then(|t| t.sum_all()).unwrap());
            }
        };
        model.trace(&golden.given(), &mut Taps::new(&mut listen)).unwrap();
        let total = Tensor::stack(&scores, 0).unwrap().sum(D::Minus1).unwrap();
        let gradients = total.backward().unwrap();
        for (name, var) in source.vars() {
            assert!(gradients.get(&var).is_some(), "{case}: `{name}` has no gradient");
        }
    }
}
