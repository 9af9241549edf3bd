//! Models that read a text with a picture: what they refuse, what they can do, and that padding and company change nothing.

use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_models::families::{find, named, parse};
use ocellus_models::{
    ConfigFile, Given, Grid, Model, ModelError, ModelWarning, PositionRule, Prompt, VisualInput, VisualSpan,
    Vlm, patches::patch_rows,
};
use ocellus_nn::attention::Batch;
use ocellus_nn::{Frozen, Params, Precision, Taps};
use ocellus_testkit::Case;
use ocellus_weights::Weights;
use serde_json::json;

fn config(case: &str) -> ConfigFile {
    let path = Case::golden(case).model_dir().join("config.json");
    parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn built(case: &str, config: &ConfigFile) -> Result<Box<dyn Model>, ModelError> {
    let weights = Weights::open(&Case::golden(case).model_dir()).unwrap();
    let source = Rc::new(Frozen::new(Arc::new(weights), Device::Cpu, DType::F32));
    (find(config)?.load)(config, &Params::new(source, Precision::F32))
}

fn model(case: &str) -> Box<dyn Model> {
    built(case, &config(case)).unwrap()
}

/// The pictures of a case.
fn visual(case: &Case, patch: usize) -> VisualInput {
    let image = case.input("image");
    let pixels = Tensor::from_slice(image.f32s(), &image.shape[..], &Device::Cpu).unwrap();
    let (patches, grids) = patch_rows(&pixels, patch, None).unwrap();
    VisualInput::Pictures { patches, grids }
}

/// The texts of a case without their padding.
fn texts(case: &Case, ids: &str, mask: &str) -> Vec<Vec<u32>> {
    let integers = |name: &str| {
        let input = case.input(name);
        (input.shape.clone(), input.i64s().to_vec())
    };
    let given = Given {
        integers: [ids, mask].map(|name| (name.to_owned(), integers(name))).into(),
        ..Given::default()
    };
    given.rows(ids, mask).unwrap().split()
}

fn borrowed(texts: &[Vec<u32>]) -> Vec<&[u32]> {
    texts.iter().map(Vec::as_slice).collect()
}

/// The picture `i` alone.
fn one(visual: &VisualInput, i: usize) -> VisualInput {
    let (patches, grids) = visual.pictures().unwrap();
    let visual_tokens = |grids: &[Grid]| grids.iter().map(|g| g.h * g.w).sum::<usize>();
    let patches = patches
        .narrow(0, visual_tokens(&grids[..i]), visual_tokens(&grids[i..=i]))
        .unwrap();
    VisualInput::Pictures {
        patches,
        grids: vec![grids[i]],
    }
}

const CASES: [(&str, &str, &str); 3] = [
    ("albef-itc-itm-mlm", "input_ids", "attention_mask"),
    ("vlmo-base", "text_ids", "text_masks"),
    ("vlmo-base-plus", "text_ids", "text_masks"),
];

#[test]
fn scores_are_those_of_the_reference_and_of_every_pair_alone() {
    for (name, ids, mask) in CASES {
        let (case, model) = (Case::golden(name), model(name));
        let (visual, texts) = (visual(&case, model.facts().patch_size), texts(&case, ids, mask));
        let matcher = model.matcher().unwrap();
        let scores = matcher.scores(&visual, &borrowed(&texts)).unwrap();
        let logits = case.expect("itm_logits").f32s();
        for (i, (score, text)) in scores.iter().zip(&texts).enumerate() {
            let wanted = 1.0 / (1.0 + (logits[2 * i] - logits[2 * i + 1]).exp());
            assert!(
                (score.matched.unwrap() - wanted).abs() < 1e-5,
                "{name} {i}: {score:?}, {wanted}"
            );
            let alone = matcher.scores(&one(&visual, i), &[text]).unwrap();
            assert_eq!(alone[0], *score, "{name} {i}");
        }
    }
}

#[test]
fn embeddings_compare_as_the_reference_compares() {
    for (name, ids, mask) in CASES {
        let (case, model) = (Case::golden(name), model(name));
        let (visual, texts) = (visual(&case, model.facts().patch_size), texts(&case, ids, mask));
        let embedder = model.embedder().unwrap();
        let (pictures, texts) = (
            embedder.pictures(&visual).unwrap(),
            embedder.texts(&borrowed(&texts)).unwrap(),
        );
        let cosines = pictures.matmul(&texts.t().unwrap()).unwrap();
        let scaled = (cosines * f64::from(embedder.scale().unwrap())).unwrap();
        let stage = if name.starts_with("vlmo") {
            "itc_logits"
        } else {
            "sim_i2t"
        };
        case.assert_close(stage, &scaled.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    }
}

#[test]
fn wrong_arguments_are_refused() {
    for (name, ids, mask) in CASES {
        let (case, model) = (Case::golden(name), model(name));
        let (visual, texts) = (visual(&case, model.facts().patch_size), texts(&case, ids, mask));
        let error = |visual: &VisualInput, texts: &[&[u32]]| {
            let result = model.matcher().unwrap().scores(visual, texts);
            result.unwrap_err().to_string()
        };
        assert_eq!(
            error(&one(&visual, 0), &[&[99]]),
            "token id 99 is outside the vocabulary of 99"
        );
        assert!(error(&one(&visual, 0), &[&[]]).contains("a text has 0"));
        assert!(error(&one(&visual, 0), &[&[1; 41]]).contains("a text has 41"));
        assert!(error(&visual, &[&texts[0]]).contains("texts for"));
        assert!(error(&VisualInput::Regions(Vec::new()), &[&texts[0]]).contains("expected a picture"));
        let (patches, grids) = visual.pictures().unwrap();
        let short = VisualInput::Pictures {
            patches: patches.narrow(0, 0, 3).unwrap(),
            grids: grids[..1].to_vec(),
        };
        assert!(error(&short, &[&texts[0]]).contains("3 patches"));
        let film = VisualInput::Pictures {
            patches: patches.clone(),
            grids: vec![Grid { t: 2, ..grids[0] }; grids.len() / 2],
        };
        assert!(error(&film, &[&texts[0]]).contains("2 frames"));
    }
}

#[test]
fn each_wrong_field_is_named() {
    let table = [
        ("albef-itc-itm-mlm", "/image_res", json!(4), "`image_res`"),
        ("albef-itc-itm-mlm", "/vision_heads", json!(3), "`vision_width`"),
        (
            "albef-itc-itm-mlm",
            "/embed_dim",
            json!(null),
            "`embed_dim` is missing",
        ),
        (
            "albef-itc-itm-mlm",
            "/bert_config",
            json!(null),
            "`bert_config` is missing",
        ),
        (
            "albef-itc-itm-mlm",
            "/bert_config/fusion_layer",
            json!(9),
            "`bert_config.fusion_layer`",
        ),
        (
            "albef-itc-itm-mlm",
            "/bert_config/encoder_width",
            json!(41),
            "`bert_config.encoder_width`",
        ),
        (
            "albef-itc-itm-mlm",
            "/bert_config/hidden_act",
            json!("relu"),
            "`bert_config.hidden_act`",
        ),
        (
            "albef-itc-itm-mlm",
            "/bert_config/hidden_size",
            json!(33),
            "`bert_config.hidden_size`",
        ),
        (
            "albef-itc-itm-mlm",
            "/bert_config/layer_norm_eps",
            json!(null),
            "`bert_config.layer_norm_eps`",
        ),
        (
            "albef-itc-itm-mlm",
            "/bert_config/type_vocab_size",
            json!(3),
            "token_type_embeddings.weight",
        ),
        ("vlmo-base", "/image_size", json!(7), "`image_size`"),
        ("vlmo-base", "/num_attention_heads", json!(5), "`hidden_size`"),
        (
            "vlmo-base",
            "/vlffn_start_layer_index",
            json!(0),
            "`vlffn_start_layer_index`",
        ),
        (
            "vlmo-base",
            "/vlffn_start_layer_index",
            json!(5),
            "`vlffn_start_layer_index`",
        ),
        ("vlmo-base", "/max_text_len", json!(21), "`max_text_len`"),
        (
            "vlmo-base",
            "/max_text_len_of_initckpt",
            json!(19),
            "relative_position_bias_table",
        ),
        ("vlmo-base", "/layer_norm_eps", json!("small"), "`layer_norm_eps`"),
        ("vlmo-base", "/vocab_size", json!(98), "word_embeddings.weight"),
        (
            "vlmo-base-plus",
            "/layer_scale_init_values",
            json!(0.1),
            "gamma_1",
        ),
    ];
    for (case, path, value, wanted) in table {
        let mut config = config(case);
        *config.pointer_mut(path).unwrap() = value;
        let error = built(case, &config)
            .err()
            .unwrap_or_else(|| panic!("{case} {path}: no error"));
        assert!(error.to_string().contains(wanted), "{case} {path}: {error}");
    }
    for case in ["albef-itc-itm-mlm", "vlmo-base"] {
        let mut config = config(case);
        config["attention_kind"] = json!("linear");
        built(case, &config).unwrap();
        let found = config.warnings();
        assert!(
            matches!(&found[..], [ModelWarning::UnknownField { field, .. }] if field == "attention_kind"),
            "{found:?}"
        );
        assert!(config.strict().is_err());
    }
}

#[test]
fn only_what_training_needs_may_be_left_over() {
    let ignores = |family: &str, name: &str| named(family).unwrap().ignores(name);
    for name in [
        "visual_encoder_m.blocks.0.attn.qkv.weight",
        "text_proj_m.bias",
        "image_queue",
        "queue_ptr",
        "text_encoder.bert.embeddings.position_ids",
        "text_encoder.cls.predictions.decoder.weight",
    ] {
        assert!(ignores("albef", name), "{name}");
    }
    for name in [
        "visual_encoder.blocks.0.attn.qkv.weight",
        "visual_encoder_media.x",
        "my_text_proj_m.bias",
    ] {
        assert!(!ignores("albef", name), "{name}");
    }
    assert!(ignores("vlmo", "text_imag_relative_position_index"));
    assert!(!ignores("vlmo", "transformer.pos_embed"));
}

#[test]
fn larger_pictures_find_their_places_in_the_window() {
    for case in ["vlmo-base", "vlmo-base-plus"] {
        let model = model(case);
        let patch = model.facts().patch_size;
        let see = |h: usize, w: usize| {
            let pixels = Tensor::ones((1, 3, h * patch, w * patch), DType::F32, &Device::Cpu).unwrap();
            let (patches, grids) = patch_rows(&pixels, patch, None).unwrap();
            model
                .embedder()
                .unwrap()
                .pictures(&VisualInput::Pictures { patches, grids })
        };
        assert_eq!(see(6, 6).unwrap().dims(), [1, 32]);
        match case {
            "vlmo-base" => assert!(see(6, 5).unwrap_err().to_string().contains("another square")),
            _ => assert_eq!(see(6, 5).unwrap().dims(), [1, 32]),
        }
    }
}

fn log_softmax(row: &[f32]) -> Vec<f64> {
    let norm = row.iter().map(|v| f64::from(*v).exp()).sum::<f64>().ln();
    row.iter().map(|v| f64::from(*v) - norm).collect()
}

/// Log-probabilities of the tokens of `answer` behind its first one.
fn told(model: &dyn Vlm, question: &[u32], (patches, grid): (&Tensor, Grid), answer: &[u32]) -> Vec<f64> {
    let visual_tokens = model.encode(patches, &[grid], &mut Taps::none()).unwrap();
    let vision = VisualSpan {
        grid,
        video_seconds: None,
    };
    let prompt = Prompt {
        ids: question,
        visions: vec![vision],
        rule: PositionRule::default(),
    };
    let opening = model
        .prefill_input(&[prompt], Some(&visual_tokens), None, &mut Taps::none())
        .unwrap();
    assert_eq!(opening.ids, [[answer[0]]]);
    let read = &answer[..answer.len() - 1];
    let embeds = model.embed(read, None, None, &mut Taps::none()).unwrap();
    let places: Vec<[i64; 3]> = (0..read.len() as i64).map(|i| [i; 3]).collect();
    let batch = Batch::of(vec![read.len()]).across(opening.cross);
    let hidden = model
        .forward(&embeds, &places, &batch, None, &mut Taps::none())
        .unwrap();
    let logits = model.logits(&hidden).unwrap().to_vec2::<f32>().unwrap();
    let next = answer[1..].iter().zip(logits);
    next.map(|(id, row)| log_softmax(&row)[*id as usize]).collect()
}

/// The original ranks by the first word's likelihood times the whole answer's, among those whose first word is likeliest.
#[test]
fn answers_rank_as_the_reference_ranks_them() {
    let (case, model) = (Case::golden("albef-vqa"), model("albef-vqa"));
    let visual = visual(&case, model.facts().patch_size);
    let candidates: Vec<Vec<u32>> = serde_json::from_value(case.options["candidates"].clone()).unwrap();
    let ranked: Vec<Vec<usize>> = serde_json::from_value(case.options["ranked"].clone()).unwrap();
    let likely: Vec<Vec<f64>> = serde_json::from_value(case.options["ranked_probabilities"].clone()).unwrap();
    for (i, question) in texts(&case, "input_ids", "attention_mask").iter().enumerate() {
        let own = one(&visual, i);
        let (patches, grids) = own.pictures().unwrap();
        let vlm = model.generator().unwrap();
        let told: Vec<Vec<f64>> = candidates
            .iter()
            .map(|c| told(vlm, question, (patches, grids[0]), c))
            .collect();
        let mut best: Vec<usize> = (0..candidates.len()).collect();
        best.sort_by(|a, b| told[*b][0].total_cmp(&told[*a][0]));
        best.truncate(ranked[i].len());
        let score = |c: &usize| told[*c][0] + told[*c].iter().sum::<f64>();
        best.sort_by(|a, b| score(b).total_cmp(&score(a)));
        assert_eq!(best, ranked[i], "question {i}");
        let all: f64 = best.iter().map(|c| score(c).exp()).sum();
        for (c, wanted) in best.iter().zip(&likely[i]) {
            let got = score(c).exp() / all;
            assert!(
                (got - wanted).abs() < 1e-5,
                "question {i}, answer {c}: {got}, {wanted}"
            );
        }
    }
}

#[test]
fn an_answer_needs_one_picture() {
    let (case, model) = (Case::golden("albef-vqa"), model("albef-vqa"));
    let questions = texts(&case, "input_ids", "attention_mask");
    let prompt = Prompt {
        ids: &questions[0],
        visions: Vec::new(),
        rule: PositionRule::default(),
    };
    let vlm = model.generator().unwrap();
    let error = vlm
        .prefill_input(&[prompt], None, None, &mut Taps::none())
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "a question has 0, expected one picture");
    assert!(model.matcher().is_none() && model.mlm_head().is_none() && model.classifier().is_none());
    assert!(find(&config("albef-vqa")).is_ok());
}
