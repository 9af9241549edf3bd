//! What the cases of the two families do not show: other language models, prompts of other forms, abilities, refusals.

use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_models::families::find;
use ocellus_models::{ConfigFile, Grid, Model, ModelError, PositionRule, Prompt, VisualInput, VisualSpan};
use ocellus_nn::attention::Batch;
use ocellus_nn::{Frozen, Params, Precision, Taps, Trainable};
use ocellus_testkit::Random;
use ocellus_testkit::case::goldens_dir;
use ocellus_weights::Weights;
use serde_json::{Value, json};

fn config(case: &str) -> ConfigFile {
    let path = goldens_dir().join(case).join("model/config.json");
    ocellus_models::families::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The model of a case.
fn golden(case: &str) -> Box<dyn Model> {
    let weights = Weights::open(&goldens_dir().join(case).join("model")).unwrap();
    let source = Rc::new(Frozen::new(Arc::new(weights), Device::Cpu, DType::F32));
    let params = Params::new(source, Precision::F32);
    ocellus_models::load(&config(case).to_string(), &params).unwrap()
}

/// A model of random weights.
fn random(config: &ConfigFile) -> Result<Box<dyn Model>, ModelError> {
    let source = Rc::new(Trainable::random(1, 0.2, Device::Cpu));
    let params = Params::new(source, Precision::F32);
    (find(config)?.load)(config, &params)
}

/// The case's config with fields of a section changed; null takes a field away.
fn changed(case: &str, section: &str, fields: &Value) -> ConfigFile {
    let mut config = config(case);
    let place = if section.is_empty() {
        &mut *config
    } else {
        &mut config[section]
    };
    for (key, value) in fields.as_object().unwrap() {
        place[key] = value.clone();
    }
    config
}

fn visual(model: &dyn Model, seed: u64, sides: &[(usize, usize)]) -> (Tensor, Vec<Grid>) {
    let features = model.facts().patch_features;
    let grids: Vec<Grid> = sides.iter().map(|&(h, w)| Grid { t: 1, h, w }).collect();
    let rows: usize = grids.iter().map(|g| g.h * g.w).sum();
    let patches = Random::new(seed).normal_vec(rows * features, 1.0);
    (
        Tensor::from_vec(patches, (rows, features), &Device::Cpu).unwrap(),
        grids,
    )
}

/// Logits behind the opening of prompts about these pictures.
fn logits(
    model: &dyn Model,
    prompts: &[&[u32]],
    sides: &[(usize, usize)],
) -> Result<Vec<Vec<f32>>, ModelError> {
    let vlm = model.generator().unwrap();
    let (patches, grids) = visual(model, 7, sides);
    let visual_tokens = vlm.encode(&patches, &grids, &mut Taps::none())?;
    let vision = |grid: &Grid| VisualSpan {
        grid: *grid,
        video_seconds: None,
    };
    let prompts: Vec<Prompt> = (prompts.iter().zip(&grids))
        .map(|(ids, grid)| Prompt {
            ids,
            visions: vec![vision(grid)],
            rule: PositionRule::default(),
        })
        .collect();
    let opening = vlm.prefill_input(&prompts, Some(&visual_tokens), None, &mut Taps::none())?;
    let batch = Batch::of(opening.lengths()).across(opening.cross.clone());
    let hidden = vlm.forward(
        &opening.embeds,
        &opening.positions,
        &batch,
        None,
        &mut Taps::none(),
    )?;
    Ok(vlm.logits(&hidden)?.to_vec2()?)
}

#[test]
fn a_picture_stands_in_front_unless_the_prompt_says_where() {
    for case in ["blip_2-opt", "blip_2-t5"] {
        let model = golden(case);
        let without = logits(model.as_ref(), &[&[2, 60, 78]], &[(2, 2)]).unwrap();
        let with = logits(
            model.as_ref(),
            &[&[159, 159, 159, 159, 159, 2, 60, 78]],
            &[(2, 2)],
        )
        .unwrap();
        assert_eq!(without, with, "{case}");
        let elsewhere = logits(
            model.as_ref(),
            &[&[2, 159, 159, 159, 159, 159, 60, 78]],
            &[(2, 2)],
        )
        .unwrap();
        assert_ne!(without, elsewhere, "{case}");
        let too_few = logits(model.as_ref(), &[&[159, 159, 2]], &[(2, 2)]).unwrap_err();
        assert!(
            matches!(
                too_few,
                ModelError::Span {
                    expected: 5,
                    found: 2,
                    ..
                }
            ),
            "{too_few}"
        );
    }
}

#[test]
fn other_language_models_load_and_answer() {
    let table = [
        (
            "blip_2-t5",
            json!({"feed_forward_proj": "relu", "tie_word_embeddings": null}),
        ),
        (
            "blip_2-t5",
            json!({"feed_forward_proj": "gated-silu", "num_decoder_layers": 3}),
        ),
        (
            "blip_2-opt",
            json!({"do_layer_norm_before": false, "enable_bias": false}),
        ),
        (
            "blip_2-opt",
            json!({"_remove_final_layer_norm": true, "activation_function": "gelu"}),
        ),
    ];
    for (case, fields) in table {
        let model = random(&changed(case, "text_config", &fields)).unwrap();
        let got = logits(model.as_ref(), &[&[2, 60], &[5]], &[(2, 2), (3, 2)]).unwrap();
        assert!(got.iter().flatten().all(|x| x.is_finite()), "{case}, {fields}");
        // Neighbours change nothing.
        let alone = logits(model.as_ref(), &[&[2, 60]], &[(2, 2)]).unwrap();
        let start = alone.len();
        assert_eq!(got[..start], alone[..], "{case}, {fields}");
    }
}

#[test]
fn padding_at_a_questions_end_is_seen_where_it_is_given() {
    let model = golden("blip-vqa");
    let bare = logits(model.as_ref(), &[&[101, 66, 76, 102]], &[(4, 4)]).unwrap();
    let padded = logits(model.as_ref(), &[&[101, 66, 76, 102, 0, 0]], &[(4, 4)]).unwrap();
    assert_ne!(bare, padded);
    let neighbours = [&[101, 15, 83, 52, 102][..], &[101, 66, 76, 102]];
    let together = logits(model.as_ref(), &neighbours, &[(3, 5), (4, 4)]).unwrap();
    let alone = logits(model.as_ref(), &neighbours[..1], &[(3, 5)]).unwrap();
    assert_eq!(together[0], alone[0]);
}

#[test]
fn scores_and_embeddings_agree() {
    for (case, sides) in [
        ("blip-itm-itc", [(4, 4), (5, 3)]),
        ("blip_2-itm-itc", [(2, 2), (1, 3)]),
    ] {
        let model = golden(case);
        let (patches, grids) = visual(model.as_ref(), 3, &sides);
        let visual = VisualInput::Pictures { patches, grids };
        let texts: [&[u32]; 2] = [&[101, 24, 46, 102], &[101, 62, 102]];
        let pairs = model.matcher().unwrap().scores(&visual, &texts).unwrap();
        let embedder = model.embedder().unwrap();
        let of_pictures = embedder.pictures(&visual).unwrap();
        let of_texts = embedder.texts(&texts).unwrap();
        let cosines = of_pictures
            .matmul(&of_texts.t().unwrap())
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        for x in [&of_pictures, &of_texts] {
            for length in x.sqr().unwrap().sum(1).unwrap().to_vec1::<f32>().unwrap() {
                assert!((length - 1.0).abs() < 1e-5, "{case}: {length}");
            }
        }
        for (i, pair) in pairs.iter().enumerate() {
            let (matched, similarity) = (pair.matched.unwrap(), pair.similarity.unwrap());
            assert!((0.0..=1.0).contains(&matched) && (-1.0..=1.0).contains(&similarity));
            if case == "blip-itm-itc" {
                assert!((similarity - cosines[i][i]).abs() < 1e-6, "{case}, pair {i}");
            }
        }
        assert!(embedder.scale().unwrap() > 10.0);
        let error = model.matcher().unwrap().scores(&visual, &texts[..1]).unwrap_err();
        assert!(matches!(error, ModelError::Input { .. }), "{case}: {error}");
        for wrong in [&[][..], &[160], &[101; 33]] {
            assert!(embedder.texts(&[wrong]).is_err(), "{case}: {} ids", wrong.len());
        }
    }
}

#[test]
fn prompts_that_cannot_be() {
    let table: [(&str, &[u32], (usize, usize)); 7] = [
        ("blip-caption", &[101], (4, 4)),
        ("blip-caption", &[101; 34], (4, 4)),
        ("blip-caption", &[101, 160, 102], (4, 4)),
        ("blip-caption", &[101, 102], (0, 4)),
        ("blip-vqa", &[101; 33], (4, 4)),
        ("blip_2-opt", &[3; 60], (2, 2)),
        ("blip_2-opt", &[160], (2, 2)),
    ];
    for (case, ids, sides) in table {
        let model = golden(case);
        let error = logits(model.as_ref(), &[ids], &[sides]).unwrap_err();
        assert!(!matches!(error, ModelError::Tensor(_)), "{case}: {error}");
        assert!(
            logits(model.as_ref(), &[&[101, 2, 102]], &[(2, 2)]).is_ok(),
            "{case}"
        );
    }
}

#[test]
fn configs_that_cannot_be() {
    let table = [
        ("blip-caption", "text_config", json!({"is_decoder": false})),
        ("blip-caption", "text_config", json!({"num_attention_heads": 5})),
        ("blip-caption", "text_config", json!({"hidden_act": "elu"})),
        ("blip-vqa", "vision_config", json!({"hidden_size": 64})),
        ("blip_2-opt", "text_config", json!({"model_type": "bloom"})),
        ("blip_2-opt", "text_config", json!({"word_embed_proj_dim": 16})),
        (
            "blip_2-opt",
            "qformer_config",
            json!({"position_embedding_type": "relative_key"}),
        ),
        (
            "blip_2-t5",
            "text_config",
            json!({"feed_forward_proj": "gated-tanh"}),
        ),
        (
            "blip_2-t5",
            "text_config",
            json!({"relative_attention_num_buckets": 2}),
        ),
        (
            "blip_2-itm-itc",
            "qformer_config",
            json!({"use_qformer_text_input": false}),
        ),
    ];
    for (case, section, fields) in table {
        let error = random(&changed(case, section, &fields)).map(|_| ()).unwrap_err();
        assert!(
            matches!(error, ModelError::Config(_)),
            "{case}, {fields}: {error}"
        );
    }
}
