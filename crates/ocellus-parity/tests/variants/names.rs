//! Tensors: their names, their order in files, and those that are there too much.

use crate::checkpoint::Checkpoint;
use crate::variant::Treatment::{Equal, Refused, Warns};
use crate::variant::{Variant, each};

const PREFIXES: &str = "Prefixes of trainers and compilers";
const LAYOUTS: &str = "Layouts of tensors";
const EXTRA: &str = "Tensors too many and too few";

const ALL: &[&str] = &[
    "qwen2_vl-multi-449",
    "qwen2_5_vl-multi-457",
    "qwen3_vl-multi",
    "pixtral-multi-hf",
    "pixtral-multi-native",
    "qwen_vl-two-images",
    "clip-quickgelu",
    "clip-open-clip",
    "vilt-vqa",
    "blip-caption",
    "blip_2-opt",
    "albef-vqa",
];
const FLAT: &[&str] = &["qwen2_vl-multi-449", "qwen2_5_vl-multi-449"];
const KERNELS: &[&str] = &[
    "qwen2_vl-multi-449",
    "qwen2_5_vl-multi-449",
    "qwen3_vl-multi",
    "pixtral-multi-hf",
    "clip-quickgelu",
    "vilt-vqa",
    "blip-caption",
];

pub fn variants() -> Vec<Variant> {
    [prefixes(), layouts(), extra()].concat()
}

fn prefixes() -> Vec<Variant> {
    let mut rows = Vec::new();
    for prefix in [
        "module.",
        "_orig_mod.",
        "base_model.model.",
        "model.",
        "module._orig_mod.",
        "my_wrapper.vlm.",
    ] {
        rows.extend(each(PREFIXES, format!("`{prefix}`"), ALL, Equal, move |c| {
            c.rename(|name| format!("{prefix}{name}"))
        }));
    }
    rows.extend(each(PREFIXES, "`._orig_mod` inside", FLAT, Equal, |c| {
        c.rename(|name| name.replace("model.layers.", "model._orig_mod.layers."))
    }));
    rows.extend(each(
        PREFIXES,
        "`._checkpoint_wrapped_module` around layers",
        FLAT,
        Equal,
        |c| c.rename(|name| name.replace(".self_attn.", "._checkpoint_wrapped_module.self_attn.")),
    ));
    rows
}

fn layouts() -> Vec<Variant> {
    let converted = |c: &mut Checkpoint| {
        c.rename(|name| match name.strip_prefix("visual.") {
            Some(rest) => format!("vision_tower.{rest}"),
            None => format!("language_model.{name}"),
        });
    };
    [
        each(
            LAYOUTS,
            "`model.visual` and `model.language_model` (4.52)",
            FLAT,
            Equal,
            |c| {
                c.rename(
                    |name| match (name.strip_prefix("visual."), name.strip_prefix("model.")) {
                        (Some(rest), _) => format!("model.visual.{rest}"),
                        (_, Some(rest)) => format!("model.language_model.{rest}"),
                        _ => name.to_owned(),
                    },
                )
            },
        ),
        each(
            LAYOUTS,
            "`model.visual` and `model.layers` (early 4.52)",
            FLAT,
            Equal,
            |c| {
                c.rename(|name| match name.strip_prefix("visual.") {
                    Some(rest) => format!("model.visual.{rest}"),
                    None => name.to_owned(),
                })
            },
        ),
        each(LAYOUTS, "names of mlx-vlm", FLAT, Equal, converted),
        each(
            LAYOUTS,
            "names of mlx-vlm, kernels with channels last",
            FLAT,
            Equal,
            move |c| {
                converted(c);
                c.channels_last();
            },
        ),
        each(
            LAYOUTS,
            "kernels over patches with channels last",
            KERNELS,
            Equal,
            Checkpoint::channels_last,
        ),
        each(
            LAYOUTS,
            "everything but the head under `model` (4.52)",
            &["pixtral-multi-hf"],
            Equal,
            |c| {
                c.rename(|name| match name.strip_prefix("language_model.") {
                    Some("lm_head.weight") => "lm_head.weight".to_owned(),
                    Some(rest) => format!("model.language_model.{}", rest.trim_start_matches("model.")),
                    None => format!("model.{name}"),
                })
            },
        ),
        each(LAYOUTS, "three shards with an index", ALL, Equal, |c| {
            c.shards = (3, true)
        }),
        each(LAYOUTS, "three shards without an index", ALL, Equal, |c| {
            c.shards = (3, false)
        }),
    ]
    .concat()
}

fn extra() -> Vec<Variant> {
    let unused = "has no use for the tensors";
    [
        each(EXTRA, "a value head of a trainer", ALL, Warns(unused), |c| {
            c.add("value_head.summary.weight", &[1, 4])
        }),
        each(EXTRA, "a head below `model`", FLAT, Warns(unused), |c| {
            c.add("model.reward.weight", &[1, 4])
        }),
        each(
            EXTRA,
            "a value head beside names with a prefix",
            FLAT,
            Warns(unused),
            |c| {
                c.rename(|name| format!("pretrained_model.{name}"));
                c.add("v_head.summary.weight", &[1, 4]);
            },
        ),
        each(
            EXTRA,
            "a bias that the model has not",
            FLAT,
            Refused("nobody takes the tensors model.layers.0.mlp.up_proj.bias"),
            |c| c.add("model.layers.0.mlp.up_proj.bias", &[4]),
        ),
        each(
            EXTRA,
            "a norm inside a layer of the tower",
            FLAT,
            Refused("nobody takes the tensors visual.blocks.0.attn.q_norm.weight"),
            |c| c.add("visual.blocks.0.attn.q_norm.weight", &[4]),
        ),
        each(
            EXTRA,
            "a layer too few",
            FLAT,
            Refused("has no tensor `model.layers.1."),
            |c| c.tensors.retain(|name, _| !name.starts_with("model.layers.1.")),
        ),
        each(EXTRA, "buffers of old versions", FLAT, Equal, |c| {
            c.add("model.layers.0.self_attn.rotary_emb.inv_freq", &[4]);
            c.add("visual.rotary_pos_emb.inv_freq", &[4]);
        }),
    ]
    .concat()
}
