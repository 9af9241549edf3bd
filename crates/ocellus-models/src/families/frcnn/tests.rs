use candle_core::{Device, Tensor};
use ocellus_media::{Filter, Resize, Rgb};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::registry::{find, parse};
use super::super::testing::{Golden, refused};
use super::likeliest;
use crate::ModelError;
use crate::capabilities::Detections;
use crate::input::VisualFormat;
use crate::model::Model;

const CASE: &str = "frcnn-stages";

fn detect(model: &dyn Model, picture: &Rgb) -> Detections {
    try_detect(model, picture).unwrap()
}

fn try_detect(model: &dyn Model, picture: &Rgb) -> Result<Detections, ModelError> {
    let VisualFormat::Planes(recipe) = model.input().visual else {
        panic!("it takes planes")
    };
    let pixels = recipe.apply(picture).unwrap();
    let planes = Tensor::from_vec(pixels.values, (3, pixels.height, pixels.width), &Device::Cpu);
    let size = (picture.height, picture.width);
    model.detector().unwrap().detect(&planes.unwrap(), size)
}

/// A picture that varies everywhere.
fn patterned(width: u32, height: u32, seed: u32) -> Rgb {
    let level = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed * 7919) >> 24) as u8;
    let of = |i: u32| level(i / 3 / 8 * 3 + i % 3 + seed);
    Rgb::new(width, height, (0..width * height * 3).map(of).collect()).unwrap()
}

fn small() -> Golden {
    Golden::open(CASE)
        .set("input.min_size_test", json!(96))
        .set("input.max_size_test", json!(160))
}

#[test]
fn the_recipe_is_in_the_config() {
    let model = Golden::open(CASE).load().unwrap();
    let VisualFormat::Planes(recipe) = model.input().visual else {
        panic!("it takes planes")
    };
    assert_eq!(recipe.mean, [122.7717, 115.9465, 102.9801], "from red to blue");
    assert_eq!((recipe.std, recipe.rescale, recipe.crop), ([1.0; 3], 1.0, None));
    assert_eq!(recipe.filter, Filter::LinearF32);
    let (shorter, longer) = (800, 1333);
    assert_eq!(recipe.resize, Resize::ShorterSideCapped { shorter, longer });
}

#[test]
fn colours_are_turned_round_where_the_checkpoint_wants_them_so() {
    let picture = patterned(150, 120, 1);
    let mut turned = picture.clone();
    turned
        .data
        .as_chunks_mut::<3>()
        .0
        .iter_mut()
        .for_each(|p| p.reverse());
    let mean = json!([122.7717, 115.9465, 102.9801]);
    let reversed = small().load().unwrap();
    let plain = small().set("input.format", json!("RGB")).load().unwrap();
    let same_mean = small()
        .set("input.format", json!("RGB"))
        .set("model.pixel_mean", mean);
    // The mean has the checkpoint's channel order: when picture and mean are both reversed, nothing changes.
    let (a, b) = (detect(&*reversed, &picture), detect(&*plain, &turned));
    assert_eq!((a.regions.boxes, &a.objects), (b.regions.boxes, &b.objects));
    assert_ne!(detect(&*same_mean.load().unwrap(), &picture).objects, a.objects);
}

#[test]
fn boxes_are_in_px_of_the_picture_and_features_go_with_them() {
    let model = small().load().unwrap();
    let found = detect(&*model, &patterned(300, 240, 3));
    let (regions, count) = (&found.regions, found.objects.len());
    assert_eq!((regions.width, regions.height), (300.0, 240.0));
    assert_eq!(regions.features.dims(), [count, 128]);
    assert_eq!((regions.boxes.len(), found.attributes.len()), (count, count));
    assert!(found.objects.is_sorted_by(|a, b| a.probability >= b.probability));
    assert!(found.objects.iter().all(|g| g.class < 9) && found.attributes.iter().all(|g| g.class < 6));
    assert!(
        regions.boxes.iter().any(|b| b[2] > 155.0 || b[3] > 120.0),
        "beyond the resized picture"
    );
}

#[test]
fn thresholds_are_tried_until_there_are_enough() {
    let picture = patterned(150, 120, 2);
    let boxes = |golden: Golden| detect(&*golden.load().unwrap(), &picture).objects.len();
    let only = |threshold: f64| small().set("roi_heads.nms_thresh_test", json!(threshold));
    let bounds = |golden: Golden, fewest: usize, most: usize| {
        golden
            .set("min_detections", json!(fewest))
            .set("max_detections", json!(most))
    };
    let (strict, loose) = (boxes(bounds(only(0.05), 1, 24)), boxes(bounds(only(0.95), 1, 24)));
    assert!(strict < loose, "{strict} {loose}");
    let both = || small().set("roi_heads.nms_thresh_test", json!([0.05, 0.95]));
    assert_eq!(boxes(bounds(both(), strict, 24)), strict);
    assert_eq!(boxes(bounds(both(), strict + 1, 24)), loose);
    assert_eq!(
        boxes(bounds(both(), 24, 24)),
        loose,
        "fewer than asked for are better than none"
    );
    assert_eq!(boxes(bounds(both(), 1, 2)), 2);
}

#[test]
fn the_checkpoints_own_anchors_win() {
    let name = "proposal_generator.anchor_generator.cell_anchors.0";
    let picture = patterned(150, 120, 4);
    let own = detect(&*small().load().unwrap(), &picture);
    let tiny: Vec<f32> = (0..12).flat_map(|_| [-11.0, -11.0, 11.0, 11.0]).collect();
    let other = detect(&*small().put(name, &[12, 4], tiny).load().unwrap(), &picture);
    assert_ne!(own.regions.boxes, other.regions.boxes);
    refused(
        small().put(name, &[11, 4], vec![0.0; 44]).load().map(|_| ()),
        name,
    );
}

#[test]
fn nothing_takes_its_share_but_is_no_object() {
    let logits = [0.0, 1.0, 3.0f32];
    let sum: f32 = logits.iter().map(|l| l.exp()).sum();
    let guess = likeliest(&logits, 2, &logits);
    assert_eq!(guess.class, 1);
    assert!((guess.probability - 1f32.exp() / sum).abs() < 1e-6);
    let alone = likeliest(&logits, 2, &logits[..2]);
    assert!((alone.probability - 1f32.exp() / (1.0 + 1f32.exp())).abs() < 1e-6);
}

#[test]
fn a_picture_in_which_no_box_is_large_enough_is_refused() {
    let model = small()
        .set("proposal_generator.min_size", json!(1000))
        .load()
        .unwrap();
    let planes = Tensor::zeros((3, 96, 96), candle_core::DType::F32, &Device::Cpu).unwrap();
    let detector = model.detector().unwrap();
    refused(detector.detect(&planes, (96, 96)), "at least one region");
    refused(
        detector.detect(&planes.narrow(0, 0, 1).unwrap(), (96, 96)),
        "three planes",
    );
}

#[test]
fn configs_that_cannot_be_honoured_are_refused_by_field() {
    for (path, value, part) in [
        ("rpn", Value::Null, "names no architecture"),
        ("input", Value::Null, "`input` is missing"),
        ("input.format", json!("HSV"), "`input.format`"),
        ("input.min_size_test", json!(0), "`input.min_size_test`"),
        ("model.pixel_mean", json!([1.0, 2.0]), "`model.pixel_mean`"),
        ("model.pixel_std", json!([1.0, 0.0, 1.0]), "`model.pixel_std`"),
        ("resnets.depth", json!(34), "50, 101 or 152"),
        ("resnets.norm", json!("GN"), "`resnets.norm`"),
        (
            "resnets.out_features",
            json!(["res3", "res4"]),
            "`resnets.out_features`",
        ),
        (
            "resnets.deform_on_per_stage",
            json!([false, true, true, true]),
            "`resnets.deform_on_per_stage`",
        ),
        (
            "resnets.res2_out_channels",
            json!(1u64 << 31),
            "`resnets.res2_out_channels`",
        ),
        (
            "anchor_generator.sizes",
            json!([[32], [64]]),
            "`anchor_generator.sizes`",
        ),
        (
            "anchor_generator.aspect_ratios",
            json!([[0.5, -1.0]]),
            "`anchor_generator.aspect_ratios`",
        ),
        ("anchor_generator.offset", json!(1.0), "`anchor_generator.offset`"),
        (
            "proposal_generator.hidden_channels",
            json!(-2),
            "`proposal_generator.hidden_channels`",
        ),
        (
            "rpn.bbox_reg_weights",
            json!([1.0, 1.0, 0.0, 1.0]),
            "`rpn.bbox_reg_weights`",
        ),
        ("rpn.pre_nms_topk_test", json!(1 << 20), "`rpn.pre_nms_topk_test`"),
        (
            "roi_heads.nms_thresh_test",
            json!([]),
            "`roi_heads.nms_thresh_test`",
        ),
        (
            "roi_heads.nms_thresh_test",
            json!("0.5"),
            "`roi_heads.nms_thresh_test`",
        ),
        ("roi_box_head.attr", json!(false), "`roi_box_head.attr`"),
        (
            "roi_box_head.cls_agnostic_bbox_reg",
            json!(true),
            "`roi_box_head.cls_agnostic_bbox_reg`",
        ),
        (
            "roi_box_head.pooler_type",
            json!("ROIAlign"),
            "`roi_box_head.pooler_type`",
        ),
        (
            "roi_box_head.pooler_resolution",
            json!(65),
            "`roi_box_head.pooler_resolution`",
        ),
        ("min_detections", json!(15), "`min_detections`"),
        ("max_detections", Value::Null, "`max_detections`"),
        ("size_divisibility", json!(32), "`size_divisibility`"),
    ] {
        refused(Golden::open(CASE).set(path, value).load().map(|_| ()), part);
    }
    // A width that the tensors do not have.
    refused(
        Golden::open(CASE)
            .set("roi_heads.num_classes", json!(8))
            .load()
            .map(|_| ()),
        "cls_score",
    );
}

#[test]
fn configs_are_read_as_they_are_published() {
    for text in [
        "RESNETS: {DEPTH: 50}\nRPN:\n  NMS_THRESH: 0.7\nROI_HEADS: {}\nROI_BOX_HEAD: {}\n",
        "resnets:\n  depth: 50\nrpn: &id001\n  a: [1, 2]\nroi_heads: *id001\nroi_box_head: {x: !!python/tuple [1]}\n",
        "{\"resnets\": {}, \"rpn\": {}, \"roi_heads\": {}, \"roi_box_head\": {}}",
    ] {
        let config = parse(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(find(&config).unwrap().id, "frcnn", "{text}");
    }
    assert_eq!(
        *parse("a: 1.0e-05\nb: -1\nc: true").unwrap(),
        json!({"a": 1e-5, "b": -1, "c": true})
    );
    for (text, part) in [
        ("{\"a\": ", "not valid JSON"),
        ("a: [1, 2", "nor valid YAML"),
        ("a: &a [*a]\n", "nor valid YAML"),
        ("a: 1\na: 2\n", "nor valid YAML"),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(part), "`{error}` does not say `{part}`");
    }
    // YAML aliases that would expand to billions of values.
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let row = vec![format!("*a{}", i - 1); 10].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{row}]\n"));
    }
    assert!(parse(&text).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn boxes_lie_in_the_picture_and_are_not_too_many(width in 30u32..260, height in 30u32..260, seed in 0u32..1000) {
        let model = small().load().unwrap();
        let found = match try_detect(&*model, &patterned(width, height, seed)) {
            Ok(found) => found,
            // In a narrow strip this small model may find none.
            Err(error) => {
                prop_assert!(error.to_string().contains("at least one region"), "{error}");
                return Ok(());
            }
        };
        prop_assert!((1..=14).contains(&found.objects.len()));
        for [x1, y1, x2, y2] in &found.regions.boxes {
            prop_assert!(0.0 <= *x1 && x1 <= x2 && *x2 <= width as f32);
            prop_assert!(0.0 <= *y1 && y1 <= y2 && *y2 <= height as f32);
        }
        for guess in found.objects.iter().chain(&found.attributes) {
            prop_assert!(guess.probability > 0.0 && guess.probability <= 1.0);
        }
    }
}
