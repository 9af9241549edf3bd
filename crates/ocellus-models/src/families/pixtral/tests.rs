//! Configs of both layouts, refusals and the fields that they name, pictures in prompts, and packed pictures.

use candle_core::{DType, Device, Tensor};
use ocellus_nn::attention::Projections;
use ocellus_nn::{Act, Frozen, Mlp, Params, Precision, Taps};
use ocellus_testkit::{Case, test_each};
use ocellus_weights::Weights;
use serde_json::{Value, json};
use std::rc::Rc;
use std::sync::Arc;

use crate::config::ConfigFile;
use crate::error::ModelError;
use crate::families::changed::{config, field, load, with};
use crate::mrope::{PositionRule, VisualSpan};
use crate::vlm::Vlm;
use ocellus_media::Grid;

const LIBRARY: &str = "pixtral-multi-hf";
const PUBLISHER: &str = "pixtral-multi-native";

fn grid(h: usize, w: usize) -> Grid {
    Grid { t: 1, h, w }
}

fn patches(model: &dyn Vlm, grids: &[Grid]) -> Tensor {
    let features = model.facts().patch_features;
    let rows: usize = grids.iter().map(|g| g.h * g.w).sum();
    let values = (0..rows * features).map(|i| (i as f32 * 0.37).sin());
    let flat = Tensor::from_iter(values, &Device::Cpu).unwrap();
    flat.reshape((rows, features)).unwrap()
}

#[test]
fn each_wrong_field_is_named() {
    let table = [
        (LIBRARY, "text_config", None),
        (LIBRARY, "vision_config", None),
        (LIBRARY, "projector_hidden_act", Some(json!("relu"))),
        (LIBRARY, "vision_feature_layer", Some(json!(-2))),
        (LIBRARY, "vision_feature_layer", None),
        (LIBRARY, "vision_feature_select_strategy", None),
        (LIBRARY, "vision_feature_select_strategy", Some(json!("default"))),
        (LIBRARY, "text_config.model_type", Some(json!("llama"))),
        (LIBRARY, "text_config.hidden_act", Some(json!("gelu"))),
        (LIBRARY, "text_config.sliding_window", Some(json!(512))),
        (LIBRARY, "text_config.head_dim", Some(json!(15))),
        (LIBRARY, "text_config.rope_scaling", Some(json!({"factor": 2.0}))),
        (
            LIBRARY,
            "vision_config.model_type",
            Some(json!("clip_vision_model")),
        ),
        (LIBRARY, "vision_config.hidden_act", Some(json!("quick_gelu"))),
        (LIBRARY, "vision_config.head_dim", Some(json!(8))),
        (PUBLISHER, "vision_encoder.num_attention_heads", Some(json!(3))),
        (PUBLISHER, "dim", None),
        (PUBLISHER, "norm_eps", None),
        (PUBLISHER, "sliding_window", Some(json!(4096))),
        (PUBLISHER, "moe", Some(json!({"num_experts": 8}))),
        (PUBLISHER, "vision_encoder.image_token_id", None),
        (PUBLISHER, "vision_encoder.image_token_id", Some(json!(-1))),
        (PUBLISHER, "vision_encoder.spatial_merge_size", Some(json!(2))),
        (
            PUBLISHER,
            "vision_encoder.add_pre_mm_projector_layer_norm",
            Some(json!(true)),
        ),
    ];
    let named = table.map(|(case, path, value)| (path, (case, path, value)));
    test_each(named, |(case, path, value)| {
        let changed = with(config(case), path, value.clone());
        assert_eq!(field(super::read(&changed).err().expect("refused")), *path);
    });
}

#[test]
fn a_window_that_no_prompt_leaves_is_none() {
    let windowed = |window: Option<Value>, most: usize| {
        let longer = with(
            config(LIBRARY),
            "text_config.max_position_embeddings",
            Some(json!(most)),
        );
        super::read(&with(longer, "text_config.sliding_window", window)).is_ok()
    };
    assert!(windowed(Some(Value::Null), 1 << 17));
    assert!(windowed(Some(json!(1024)), 1024));
    assert!(!windowed(Some(json!(1023)), 1024));
    // Without the field the library has a window of 4096.
    assert!(windowed(None, 4096));
    assert!(!windowed(None, 8192));
}

#[test]
fn what_a_published_config_leaves_out() {
    let published = ConfigFile::from(json!({
        "model_type": "llava", "image_token_index": 10, "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
        "text_config": {
            "model_type": "mistral", "hidden_size": 5120, "head_dim": 128, "num_hidden_layers": 40,
            "num_key_value_heads": 8, "intermediate_size": 14336, "rms_norm_eps": 1e-5, "rope_theta": 1e9,
            "sliding_window": null, "max_position_embeddings": 1024000, "vocab_size": 131072,
        },
        "vision_config": {"model_type": "pixtral", "head_dim": 64, "hidden_act": "silu", "rope_theta": 1e4},
    }));
    let read = super::read(&published).unwrap();
    let (tower, decoder) = (read.tower(), read.decoder());
    assert_eq!((tower.patch, tower.encoder.layers), (3 * 16 * 16, 24));
    assert_eq!(
        (decoder.block.attention.heads, decoder.block.attention.kv_heads),
        (32, 8)
    );
    let act = Act::Silu;
    let (width, bias) = (4096, false);
    assert_eq!(tower.encoder.block.mlp, Mlp::Gated { act, width, bias });
    assert_eq!(
        (read.special_tokens.row_end, read.special_tokens.picture_end),
        (12, 13)
    );
    let silent = with(published, "vision_config.hidden_act", None);
    let gelu = super::read(&silent).unwrap().tower().encoder.block.mlp;
    let act = Act::Gelu;
    assert_eq!(gelu, Mlp::Gated { act, width, bias });
}

#[test]
fn the_publisher_keeps_rotations_side_by_side() {
    for (case, expected) in [
        (LIBRARY, Projections::Separate),
        (PUBLISHER, Projections::AdjacentPairs),
    ] {
        let read = super::read(&config(case)).unwrap();
        assert_eq!(read.tower().encoder.block.attention.projections, expected);
        assert_eq!(read.decoder().block.attention.projections, expected);
    }
}

#[test]
fn a_head_of_its_own_counts_whatever_the_config_says() {
    let logits = |tied: bool| {
        let config = with(config(LIBRARY), "tie_word_embeddings", Some(json!(tied)));
        let model = load(LIBRARY, &config).unwrap();
        let vlm = model.generator().unwrap();
        let scores = vlm.logits(&vlm.decoder().embed(&[7]).unwrap()).unwrap();
        scores.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(logits(true), logits(false));
}

#[test]
fn a_head_that_is_absent_is_tied() {
    let weights = Weights::open(&Case::golden(LIBRARY).model_dir()).unwrap();
    let weights = weights.without(|name| name.contains("lm_head"));
    let source = Rc::new(Frozen::new(Arc::new(weights), Device::Cpu, DType::F32));
    let params = Params::new(source, Precision::F32);
    let model = (super::FAMILY.load)(&config(LIBRARY), &params).unwrap();
    let vlm = model.generator().unwrap();
    let hidden = vlm.decoder().embed(&[7]).unwrap();
    let scores = vlm.logits(&hidden).unwrap();
    let every: Vec<u32> = (0..vlm.decoder().spec().vocab as u32).collect();
    let text_config = vlm.decoder().embed(&every).unwrap();
    let own = text_config.matmul(&hidden.t().unwrap()).unwrap();
    let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (a, b) in flat(scores).into_iter().zip(flat(own)) {
        assert!((a - b).abs() < 1e-5);
    }
}

#[test]
fn rows_of_a_picture_end_with_tokens() {
    let model = load(PUBLISHER, &config(PUBLISHER)).unwrap();
    let vlm = model.generator().unwrap();
    assert_eq!(vlm.placeholder(&grid(2, 3)), [10, 10, 10, 12, 10, 10, 10, 13]);
    assert_eq!(vlm.placeholder(&grid(1, 1)), [10, 13]);
    let ids = [&[1, 3][..], &vlm.placeholder(&grid(2, 3)), &[4]].concat();
    let vision = |grid| VisualSpan {
        grid,
        video_seconds: None,
    };
    let placed = vlm
        .positions(&ids, &[vision(grid(2, 3))], PositionRule::default())
        .unwrap();
    let counted: Vec<[i64; 3]> = (0..ids.len() as i64).map(|i| [i; 3]).collect();
    assert_eq!((placed.ids, placed.delta), (counted, 0));
    for wrong in [grid(2, 2), grid(3, 3)] {
        let refused = vlm.positions(&ids, &[vision(wrong)], PositionRule::default());
        assert!(matches!(refused, Err(ModelError::Span { found: 6, .. })));
    }
}

#[test]
fn pictures_do_not_see_one_another() {
    let model = load(LIBRARY, &config(LIBRARY)).unwrap();
    let vlm = model.generator().unwrap();
    let grids = [grid(3, 2), grid(1, 5), grid(2, 2)];
    let all = patches(vlm, &grids);
    let packed = vlm.encode(&all, &grids, &mut Taps::none()).unwrap();
    let mut first = 0;
    for grid in grids {
        let rows = grid.h * grid.w;
        let own = all.narrow(0, first, rows).unwrap();
        let alone = vlm.encode(&own, &[grid], &mut Taps::none()).unwrap();
        let packed = packed.narrow(first, rows).unwrap();
        assert_eq!(
            alone.rows.to_vec2::<f32>().unwrap(),
            packed.rows.to_vec2::<f32>().unwrap(),
            "{grid:?}"
        );
        first += rows;
    }
}

#[test]
fn pictures_that_cannot_be_are_refused() {
    let model = load(LIBRARY, &config(LIBRARY)).unwrap();
    let vlm = model.generator().unwrap();
    let refused = |rows: &Tensor, grids: &[Grid]| vlm.encode(rows, grids, &mut Taps::none()).unwrap_err();
    let four = patches(vlm, &[grid(2, 2)]);
    let moving = Grid { t: 2, h: 1, w: 2 };
    for grids in [
        &[grid(2, 3)][..],
        &[grid(0, 4)],
        &[moving],
        &[grid(2, 2), grid(1, 1)],
    ] {
        assert!(
            matches!(refused(&four, grids), ModelError::Grid { .. }),
            "{grids:?}"
        );
    }
    // 64 pixels in patches of 4.
    let long = grid(1, 17);
    assert!(matches!(
        refused(&patches(vlm, &[long]), &[long]),
        ModelError::Input { .. }
    ));
    let whole = grid(1, 16);
    vlm.encode(&patches(vlm, &[whole]), &[whole], &mut Taps::none())
        .unwrap();
}
