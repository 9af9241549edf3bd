//! The `config.yaml` of a detector: the nested sections of a training framework, with lower-case or upper-case keys.

use ocellus_media::{Filter, PixelRecipe, Resize};
use serde_json::{Map, Value, json};

use super::backbone::{BLOCKS, Net};
use super::boxes::around_a_point;
use crate::config::{ConfigError, ConfigFile, Fields};

/// The family's id.
pub(super) const ID: &str = "frcnn";

/// The most boxes that a config may ask for in one picture.
const MOST_BOXES: usize = 4096;
/// The most boxes before suppression.
const MOST_CONSIDERED: usize = 1 << 16;
/// The largest side of RoI-pooled features.
const MOST_CELLS: usize = 64;

pub(super) struct Config {
    pub net: Net,
    pub recipe: PixelRecipe,
    /// Whether the channel order is blue, green, red.
    pub reversed: bool,
    pub proposals: Proposals,
    /// Side of the RoI-pooled features: every box becomes `cells · cells` values per channel.
    pub cells: usize,
    /// Number of object classes; the logits have one more, the last, for background.
    pub objects: usize,
    /// Number of attribute classes; the logits have one more, the last, for "no attribute".
    pub attributes: usize,
    pub weights: [f32; 4],
    /// Thresholds of non-maximum suppression, tried in order until enough boxes are kept.
    pub thresholds: Vec<f64>,
    pub fewest: usize,
    pub most: usize,
}

pub(super) struct Proposals {
    /// Anchors at a position, unless the checkpoint contains its own.
    pub anchors: Vec<[f32; 4]>,
    pub offset: f32,
    pub hidden: usize,
    /// Boxes must be larger than this along both sides, px.
    pub smallest: f32,
    pub weights: [f32; 4],
    pub threshold: f64,
    pub considered: usize,
    pub kept: usize,
}

/// Sections of the framework's configs about training, bookkeeping, or heads that this detector does not have.
const OTHER_PARTS: &[&str] = &[
    "backbone",
    "cudnn_benchmark",
    "dataloader",
    "datasets",
    "fpn",
    "global",
    "output_dir",
    "pad_value",
    "panoptic_fpn",
    "retinanet",
    "roi_box_cascade_head",
    "roi_keypoint_head",
    "roi_mask_head",
    "seed",
    "sem_seg_head",
    "solver",
    "test",
    "verbose",
    "version",
    "vis_period",
];
const INPUT: &[&str] = &[
    "crop",
    "mask_format",
    "max_size_train",
    "min_size_train",
    "min_size_train_sampling",
    "random_flip",
];
const MODEL: &[&str] = &[
    "device",
    "keypoint_on",
    "load_proposals",
    "mask_on",
    "meta_architecture",
    "weights",
];
const RESNETS: &[&str] = &["res5_dilation"];
const RPN: &[&str] = &[
    "batch_size_per_image",
    "bbox_reg_loss_type",
    "bbox_reg_loss_weight",
    "boundary_thresh",
    "head_name",
    "iou_labels",
    "iou_thresholds",
    "loss_weight",
    "positive_fraction",
    "post_nms_topk_train",
    "pre_nms_topk_train",
    "smooth_l1_beta",
];
/// The published detector sorts boxes by score and has no minimum score.
const ROI_HEADS: &[&str] = &[
    "batch_size_per_image",
    "iou_labels",
    "iou_thresholds",
    "name",
    "positive_fraction",
    "proposal_append_gt",
    "score_thresh_test",
];
/// The head is the last stage of the network, so fields of other heads are absent; pooling takes every value.
const ROI_BOX_HEAD: &[&str] = &[
    "bbox_reg_loss_type",
    "bbox_reg_loss_weight",
    "conv_dim",
    "fc_dim",
    "name",
    "norm",
    "num_conv",
    "num_fc",
    "pooler_sampling_ratio",
    "smooth_l1_beta",
    "train_on_pred_boxes",
];

/// Whether a config has the sections of a detector.
pub(super) fn claims(config: &Value) -> bool {
    let object = config.as_object();
    let has = |part: &&str| object.is_some_and(|o| o.keys().any(|key| key.eq_ignore_ascii_case(part)));
    ["resnets", "rpn", "roi_heads", "roi_box_head"].iter().all(has)
}

impl Config {
    pub(super) fn read(config: &ConfigFile) -> Result<Self, ConfigError> {
        let small = small_letters(config);
        let fields = Fields::new("", &small, config.log())?;
        fields.only("size_divisibility", &[json!(0)])?;
        let (fewest, most) = (
            fields.size("min_detections")?,
            bounded(&fields, "max_detections", MOST_BOXES)?,
        );
        if fewest > most {
            return Err(wrong(
                &fields,
                "min_detections",
                format!("at most {most}"),
                fewest,
            ));
        }
        let (recipe, reversed, pool_ceiled) = seen(&fields)?;
        let net = net(&fields, pool_ceiled)?;
        let proposals = proposals(&fields, &net)?;

        let heads = part(&fields, "roi_heads")?;
        heads.only("in_features", &[json!(["res4"])])?;
        let objects = heads.size("num_classes")?;
        let thresholds = match heads.get("nms_thresh_test") {
            Some(Value::Array(_)) => heads.numbers("nms_thresh_test")?,
            _ => vec![heads.number("nms_thresh_test")?],
        };
        if thresholds.is_empty() {
            return Err(wrong(&heads, "nms_thresh_test", "at least one number", "[]"));
        }
        heads.finish(ID, ROI_HEADS)?;

        let head = part(&fields, "roi_box_head")?;
        head.only("attr", &[json!(true)])?;
        head.only("cls_agnostic_bbox_reg", &[json!(false)])?;
        head.only("pooler_type", &[json!("ROIPool"), json!("")])?;
        let read = Self {
            net: Net {
                halved: head.flag_or("res5halve", true)?,
                ..net
            },
            recipe,
            reversed,
            proposals,
            cells: bounded(&head, "pooler_resolution", MOST_CELLS)?,
            objects,
            attributes: head.size("num_attrs")?,
            weights: weights(&head)?,
            thresholds,
            fewest,
            most,
        };
        head.finish(ID, ROI_BOX_HEAD)?;
        fields.finish(ID, OTHER_PARTS)?;
        Ok(read)
    }
}

/// The recipe of pictures, whether the channel order is reversed, and how the stem pools.
fn seen(fields: &Fields) -> Result<(PixelRecipe, bool, bool), ConfigError> {
    let (input, model) = (part(fields, "input")?, part(fields, "model")?);
    let reversed = match input.text("format")? {
        "BGR" => true,
        "RGB" => false,
        other => return Err(wrong(&input, "format", "BGR or RGB", other)),
    };
    let [mean, std] = ["pixel_mean", "pixel_std"].map(|key| {
        let levels = exactly::<3>(&model, key)?.map(|v| v as f32);
        // Recipes list channels in the order red, green, blue.
        Ok::<_, ConfigError>(if reversed {
            [levels[2], levels[1], levels[0]]
        } else {
            levels
        })
    });
    let (mean, std) = (mean?, std?);
    if std.iter().any(|v| *v <= 0.0) {
        return Err(wrong(&model, "pixel_std", "numbers above 0", format!("{std:?}")));
    }
    let side = |key: &str| Ok::<_, ConfigError>(bounded(&input, key, MOST_CONSIDERED)? as u32);
    let recipe = PixelRecipe {
        resize: Resize::ShorterSideCapped {
            shorter: side("min_size_test")?,
            longer: side("max_size_test")?,
        },
        crop: None,
        crop_to_even: false,
        filter: Filter::LinearF32,
        rescale: 1.0,
        mean,
        std,
    };
    let pool_ceiled = model.flag_or("max_pool", false)?;
    input.finish(ID, INPUT)?;
    model.finish(ID, MODEL)?;
    Ok((recipe, reversed, pool_ceiled))
}

fn net(fields: &Fields, pool_ceiled: bool) -> Result<Net, ConfigError> {
    let resnets = part(fields, "resnets")?;
    resnets.only("norm", &[json!("BN"), json!("FrozenBN")])?;
    resnets.only("out_features", &[json!(["res4"])])?;
    for key in ["deform_on_per_stage", "deform_modulated", "deform_num_groups"] {
        resnets.only(
            key,
            &[json!(false), json!(1), json!([false, false, false, false])],
        )?;
    }
    let depth = resnets.size("depth")?;
    let Some((_, blocks)) = BLOCKS.iter().find(|(d, _)| *d == depth) else {
        return Err(wrong(&resnets, "depth", "50, 101 or 152", depth));
    };
    let channels = |key: &str| bounded(&resnets, key, 1 << 16);
    let groups = channels("num_groups")?;
    let net = Net {
        blocks: *blocks,
        stem: channels("stem_out_channels")?,
        middle: groups * channels("width_per_group")?,
        outputs: channels("res2_out_channels")?,
        groups,
        stride_first: resnets.flag_or("stride_in_1x1", true)?,
        halved: true,
        pool_ceiled,
    };
    resnets.finish(ID, RESNETS)?;
    Ok(net)
}

fn proposals(fields: &Fields, net: &Net) -> Result<Proposals, ConfigError> {
    let anchors = part(fields, "anchor_generator")?;
    anchors.only("name", &[json!("DefaultAnchorGenerator")])?;
    let (sizes, ratios) = (
        only_list(&anchors, "sizes")?,
        only_list(&anchors, "aspect_ratios")?,
    );
    let offset = anchors.number_or("offset", 0.0)?;
    if !(0.0..1.0).contains(&offset) {
        return Err(wrong(&anchors, "offset", "a share of 1", offset));
    }
    anchors.finish(ID, &["angles"])?;

    let generator = part(fields, "proposal_generator")?;
    generator.only("name", &[json!("RPN")])?;
    let hidden = match generator.get("hidden_channels").and_then(Value::as_i64) {
        None | Some(-1) => net.fourth(),
        Some(_) => bounded(&generator, "hidden_channels", 1 << 16)?,
    };
    let smallest = generator.number_or("min_size", 0.0)? as f32;
    generator.finish(ID, &[])?;

    let rpn = part(fields, "rpn")?;
    rpn.only("in_features", &[json!(["res4"])])?;
    let read = Proposals {
        anchors: around_a_point(&sizes, &ratios),
        offset: offset as f32,
        hidden,
        smallest,
        weights: weights(&rpn)?,
        threshold: rpn.number("nms_thresh")?,
        considered: bounded(&rpn, "pre_nms_topk_test", MOST_CONSIDERED)?,
        kept: bounded(&rpn, "post_nms_topk_test", MOST_BOXES)?,
    };
    rpn.finish(ID, RPN)?;
    Ok(read)
}

fn part<'a>(fields: &Fields<'a>, key: &str) -> Result<Fields<'a>, ConfigError> {
    fields.object(key)?.ok_or_else(|| ConfigError::Missing {
        field: fields.name(key),
    })
}

fn bounded(fields: &Fields, key: &str, most: usize) -> Result<usize, ConfigError> {
    let found = fields.size(key)?;
    if found > most {
        return Err(wrong(fields, key, format!("at most {most}"), found));
    }
    Ok(found)
}

fn exactly<const N: usize>(fields: &Fields, key: &str) -> Result<[f64; N], ConfigError> {
    let numbers = fields.numbers(key)?;
    <[f64; N]>::try_from(numbers).map_err(|n| wrong(fields, key, format!("{N} numbers"), format!("{n:?}")))
}

/// What the outputs of a box regressor are divided by.
fn weights(fields: &Fields) -> Result<[f32; 4], ConfigError> {
    let weights = exactly::<4>(fields, "bbox_reg_weights")?;
    if weights.contains(&0.0) {
        return Err(wrong(
            fields,
            "bbox_reg_weights",
            "no zeros",
            format!("{weights:?}"),
        ));
    }
    Ok(weights.map(|v| v as f32))
}

/// The positive numbers of a list that holds one list per level of a feature pyramid; this detector has one level.
fn only_list(fields: &Fields, key: &str) -> Result<Vec<f64>, ConfigError> {
    let refused = |found: &Value| wrong(fields, key, "one list of numbers above 0 in a list", found);
    let value = fields.get(key).ok_or_else(|| ConfigError::Missing {
        field: fields.name(key),
    })?;
    let list = match value.as_array().map(Vec::as_slice) {
        Some([Value::Array(list)]) if !list.is_empty() && list.len() <= 64 => list,
        _ => return Err(refused(value)),
    };
    let number = |n: &Value| n.as_f64().filter(|n| n.is_finite() && *n > 0.0);
    list.iter()
        .map(|n| number(n).ok_or_else(|| refused(value)))
        .collect()
}

fn wrong(fields: &Fields, key: &str, expected: impl ToString, found: impl ToString) -> ConfigError {
    ConfigError::Value {
        field: fields.name(key),
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

/// A copy of the value whose object keys are all lower-case.
fn small_letters(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let small = |(key, value): (&String, &Value)| (key.to_ascii_lowercase(), small_letters(value));
            Value::Object(object.iter().map(small).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}
