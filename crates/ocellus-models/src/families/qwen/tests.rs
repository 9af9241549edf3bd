//! Refused configs and the fields that errors name, positions of long and padded prompts, spans of pictures, a tower alone.

use candle_core::{Device, Tensor};
use ocellus_nn::decoder::Positions;
use ocellus_nn::{Bias, Taps};
use ocellus_testkit::test_each;
use serde_json::json;

use super::alpha;
use super::config::Config;
use crate::config::ConfigError;
use crate::error::ModelError;
use crate::families::changed::{config, field, load, params, with};
use crate::model::{Generator, Model};
use crate::mrope::{PositionRule, VisualSpan};
use crate::reference::ReferencePrompt;
use crate::vlm::{Prompt, Slot, Vlm};
use ocellus_media::Grid;

const LONG: &str = "qwen_vl-long-ntk-logn";
const TOWER: &str = "qwen_vl-visual";
/// Start token of a picture, end token, and number of visual tokens, in the case with the long prompt.
const START: u32 = 288;
const END: u32 = 289;
const VISUAL_TOKENS: usize = 16;

fn model() -> Box<dyn Model> {
    load(LONG, &config(LONG)).unwrap()
}

#[test]
fn each_wrong_field_is_named() {
    let table = [
        ("seq_length", None),
        ("layer_norm_epsilon", None),
        ("visual", None),
        ("visual.image_start_id", None),
        ("visual.mlp_ratio", None),
        ("visual.mlp_ratio", Some(json!(0.001))),
        ("rotary_pct", Some(json!(0.25))),
        ("scale_attn_weights", Some(json!(false))),
        ("kv_channels", Some(json!(16))),
        ("visual.heads", Some(json!(5))),
        ("visual.n_queries", Some(json!(15))),
        ("visual.output_dim", Some(json!(64))),
        ("visual.output_dim", Some(json!(385))),
        ("use_dynamic_ntk", Some(json!("yes"))),
        ("use_cache_quantization", Some(json!(true))),
    ];
    let named = table.map(|(path, value)| (path, (path, value)));
    test_each(named, |(path, value)| {
        let changed = with(config(LONG), path, value.clone());
        assert_eq!(field(Config::read(&changed).err().expect("refused")), *path);
    });
}

#[test]
fn flags_of_kernels_and_types_change_nothing() {
    for (flag, value) in [
        ("use_flash_attn", json!(true)),
        ("use_flash_attn", json!("auto")),
        ("bf16", json!(true)),
        ("onnx_safe", json!(true)),
    ] {
        let read = Config::read(&with(config(LONG), flag, Some(value))).unwrap();
        assert_eq!(
            read.decoder,
            Config::read(&config(LONG)).unwrap().decoder,
            "{flag}"
        );
    }
}

#[test]
fn flags_that_change_the_computation() {
    let read = |changes: &[(&str, bool)]| {
        let changed = changes.iter().fold(config(LONG), |config, (flag, value)| {
            with(config, flag, Some(json!(value)))
        });
        let config = Config::read(&changed).unwrap();
        let Positions::Rotary(rope) = config.decoder.positions else {
            panic!("rotary positions");
        };
        (config.dynamic, rope.long.map(|long| long.log_scale))
    };
    assert_eq!(read(&[]), (true, Some(true)));
    assert_eq!(read(&[("use_dynamic_ntk", false)]), (false, Some(true)));
    assert_eq!(read(&[("use_logn_attn", false)]), (true, Some(false)));
    assert_eq!(
        read(&[("use_dynamic_ntk", false), ("use_logn_attn", false)]),
        (false, None)
    );
    let biased = Config::read(&with(config(LONG), "no_bias", Some(json!(false)))).unwrap();
    assert_eq!(biased.decoder.block.attention.bias, Bias::ALL);
}

#[test]
fn the_base_grows_in_steps() {
    let of = |lengths: &[usize]| -> Vec<i64> { lengths.iter().map(|n| alpha(Some(16), *n)).collect() };
    assert_eq!(of(&[0, 1, 8, 15, 16]), [1; 5]);
    assert_eq!(of(&[17, 31, 32, 33, 64, 65, 128]), [3, 3, 3, 7, 7, 15, 15]);
    assert_eq!(alpha(None, 1 << 20), 1);
    let fixed = with(config(LONG), "use_dynamic_ntk", Some(json!(false)));
    for (config, expected) in [(config(LONG), 7), (fixed, 1)] {
        let model = load(LONG, &config).unwrap();
        let opening = open(model.generator().unwrap(), &[5; 55]).unwrap();
        assert_eq!(opening.next, [[55, expected, 55]]);
    }
}

fn open(vlm: &dyn Vlm, ids: &[u32]) -> Result<crate::PrefillInput, ModelError> {
    let prompt = Prompt {
        ids,
        visions: Vec::new(),
        rule: PositionRule::default(),
    };
    vlm.prefill_input(&[prompt], None, None, &mut Taps::none())
}

#[test]
fn padding_is_counted() {
    let model = (super::FAMILY.trace.unwrap())(&config(LONG), &params(LONG)).unwrap();
    let prompt = ReferencePrompt {
        ids: vec![7, 8, 9],
        pictures: Vec::new(),
        offset: 14,
    };
    let opening = model.padded_input(&[prompt], None, &mut Taps::none()).unwrap();
    assert_eq!(opening.positions, [[14, 3, 14], [15, 3, 15], [16, 3, 16]]);
    assert_eq!((opening.next, opening.stride), (vec![[17, 3, 17]], [1, 0, 1]));
}

#[test]
fn a_picture_stands_between_its_start_and_its_end() {
    let model = model();
    let vlm = model.generator().unwrap();
    let whole = [&[START][..], &[7; VISUAL_TOKENS], &[END]].concat();
    let images = |ids: &[u32]| -> Vec<usize> {
        let slots = vlm.slots(ids).into_iter().enumerate();
        slots.filter(|s| s.1 == Slot::Image).map(|s| s.0).collect()
    };
    let first: Vec<usize> = (1..=VISUAL_TOKENS).collect();
    assert_eq!(images(&whole), first);
    let second = first.iter().map(|i| i + VISUAL_TOKENS + 2);
    assert_eq!(
        images(&[&whole[..], &whole].concat()),
        first.iter().copied().chain(second).collect::<Vec<_>>()
    );
    test_each(
        [
            ("nothing", vec![]),
            ("a start alone", vec![START]),
            ("cut off", whole[..VISUAL_TOKENS + 1].to_vec()),
            ("too short", [&whole[..VISUAL_TOKENS], &[END]].concat()),
            ("an end alone", whole[1..].to_vec()),
            ("fillers outside", vec![START + 2; VISUAL_TOKENS]),
        ],
        |ids| assert!(images(ids).is_empty()),
    );
    assert_eq!(
        vlm.placeholder(&Grid { t: 1, h: 6, w: 6 }),
        [START + 2; VISUAL_TOKENS]
    );
    assert!(matches!(
        open(vlm, &whole),
        Err(ModelError::Span {
            expected: 0,
            found: VISUAL_TOKENS,
            ..
        })
    ));
    let lacking = Prompt {
        ids: &[1, 2],
        visions: vec![VisualSpan {
            grid: Grid { t: 1, h: 6, w: 6 },
            video_seconds: None,
        }],
        rule: PositionRule::default(),
    };
    let refused = vlm.prefill_input(&[lacking], None, None, &mut Taps::none());
    assert!(matches!(
        refused,
        Err(ModelError::Span {
            expected: VISUAL_TOKENS,
            found: 0,
            ..
        })
    ));
}

#[test]
fn pictures_of_any_size_become_as_many_tokens() {
    let model = model();
    let vlm = model.generator().unwrap();
    let features = vlm.facts().patch_features;
    let rows = |n: usize| Tensor::ones((n, features), candle_core::DType::F32, &Device::Cpu).unwrap();
    let grids = [Grid { t: 1, h: 4, w: 4 }, Grid { t: 1, h: 2, w: 5 }];
    let visual_tokens = vlm.encode(&rows(26), &grids, &mut Taps::none()).unwrap();
    assert_eq!(visual_tokens.rows.dims(), [2 * VISUAL_TOKENS, 128]);
    let alone = vlm.encode(&rows(10), &grids[1..], &mut Taps::none()).unwrap();
    let second = visual_tokens.narrow(VISUAL_TOKENS, VISUAL_TOKENS).unwrap();
    assert_eq!(
        alone.rows.to_vec2::<f32>().unwrap(),
        second.rows.to_vec2::<f32>().unwrap()
    );
    for (n, grid) in [(9, grids[1]), (10, Grid { t: 2, h: 1, w: 5 })] {
        let refused = vlm.encode(&rows(n), &[grid], &mut Taps::none());
        assert!(matches!(refused, Err(ModelError::Grid { .. })));
    }
}

#[test]
fn a_tower_alone_writes_nothing() {
    let tower = load(TOWER, &config(TOWER)).unwrap();
    assert!(tower.generator().is_none());
    let refused = Generator::new(tower).err().expect("refused").to_string();
    assert!(refused.contains("one that continues text"), "{refused}");
}

#[test]
fn tower_and_decoder_must_fit() {
    let wide = with(config(LONG), "visual.output_dim", Some(json!(256)));
    // The tensors are too small as well, so either error is right.
    assert!(load(LONG, &wide).is_err());
    let narrow = with(config(LONG), "hidden_size", Some(json!(64)));
    let narrow = with(narrow, "kv_channels", Some(json!(16)));
    match load(LONG, &narrow).err() {
        Some(ModelError::Config(ConfigError::Value { field, .. })) => assert_eq!(field, "visual.output_dim"),
        other => panic!("{other:?}"),
    }
}
