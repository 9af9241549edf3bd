//! Fields of configs: what is left out, what is there too much, where it stands.

use serde_json::{Value, json};

use crate::checkpoint::Checkpoint;
use crate::variant::Treatment::{Equal, Refused, Warns};
use crate::variant::{Variant, each};

/// Goldens whose configs belong to classes of the library.
const LIBRARY: &[&str] = &[
    "qwen2_vl-multi-449",
    "qwen2_5_vl-multi-449",
    "qwen2_5_vl-multi-457",
    "qwen3_vl-multi",
    "pixtral-multi-hf",
    "clip-quickgelu",
    "vilt-vqa",
    "blip-caption",
    "blip_2-opt",
    "blip_2-t5",
];
/// Those whose parts have objects of their own.
const TOWERS: &[&str] = &[
    "qwen2_vl-multi-449",
    "qwen2_5_vl-multi-449",
    "qwen3_vl-multi",
    "pixtral-multi-hf",
    "clip-quickgelu",
    "blip-caption",
    "blip_2-opt",
];
const OTHERS: &[&str] = &[
    "qwen_vl-two-images",
    "clip-open-clip",
    "albef-vqa",
    "vlmo-base",
    "vilbert-vqa",
];
/// Those with patches of 14 px.
const DEFAULTS: &[&str] = &[
    "qwen2_vl-end-to-end",
    "qwen2_5_vl-end-to-end",
    "qwen2_vl-multi-449",
    "qwen2_5_vl-multi-457",
];
const FLAT: &[&str] = &["qwen2_vl-multi-449", "qwen2_5_vl-multi-449"];
const NESTED: &[&str] = &["qwen2_5_vl-multi-457", "qwen3_vl-multi"];

const UNKNOWN: &str = "Fields that nothing knows";
const ACCEPTED: &str = "Fields of base classes, trainers and exporters";
const CHANGES: &str = "Fields that change the computation";
const LEFT_OUT: &str = "Fields that are left out";
const LAYOUT: &str = "Layouts of five versions of transformers";
const NAMES: &str = "How a family is found";

pub fn variants() -> Vec<Variant> {
    [unknown(), accepted(), changes(), left_out(), layouts(), named()].concat()
}

fn unknown() -> Vec<Variant> {
    let warns = "is not known to family";
    let rotation = "belong into `rope_scaling`";
    [
        each(UNKNOWN, "a new field", LIBRARY, Warns(warns), |c| {
            c.set("some_new_field", json!(1))
        }),
        each(UNKNOWN, "a new field", OTHERS, Warns(warns), |c| {
            c.set("some_new_field", json!(1))
        }),
        each(
            UNKNOWN,
            "a new field in `vision_config`",
            TOWERS,
            Warns(warns),
            |c| c.set("vision_config.some_new_field", json!({"a": [1]})),
        ),
        each(
            UNKNOWN,
            "`factor` in `rope_scaling` without its kind",
            FLAT,
            Warns(warns),
            |c| c.set("rope_scaling.factor", json!(4.0)),
        ),
        each(
            UNKNOWN,
            "a YaRN block beside the other fields",
            FLAT,
            Warns(rotation),
            |c| {
                c.set("type", json!("yarn"));
                c.set("factor", json!(4));
                c.set("original_max_position_embeddings", json!(32768));
            },
        ),
    ]
    .concat()
}

/// What a full `to_dict()` of old versions has beside the fields of a class.
fn full(object: &Value) -> Value {
    let full = r#"{
        "_name_or_path": "", "add_cross_attention": false, "architectures": null, "bad_words_ids": null,
        "begin_suppress_tokens": null, "chunk_size_feed_forward": 0, "cross_attention_hidden_size": null,
        "diversity_penalty": 0.0, "do_sample": false, "early_stopping": false, "encoder_no_repeat_ngram_size": 0,
        "exponential_decay_length_penalty": null, "finetuning_task": null, "forced_bos_token_id": null,
        "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "is_decoder": false, "is_encoder_decoder": false,
        "label2id": {"LABEL_0": 0, "LABEL_1": 1}, "length_penalty": 1.0, "max_length": 20, "min_length": 0,
        "no_repeat_ngram_size": 0, "num_beam_groups": 1, "num_beams": 1, "num_return_sequences": 1,
        "output_attentions": false, "output_hidden_states": false, "output_scores": false, "prefix": null,
        "problem_type": null, "pruned_heads": {}, "remove_invalid_values": false, "repetition_penalty": 1.0,
        "return_dict": true, "return_dict_in_generate": false, "suppress_tokens": null, "task_specific_params": null,
        "temperature": 1.0, "tf_legacy_loss": false, "tie_encoder_decoder": false, "tokenizer_class": null,
        "top_k": 50, "top_p": 1.0, "torch_dtype": null, "torchscript": false, "typical_p": 1.0, "use_bfloat16": false
    }"#;
    let mut full: Value = serde_json::from_str(full).expect("JSON");
    let own = object.as_object().cloned().unwrap_or_default();
    full.as_object_mut().unwrap().extend(own);
    full
}

fn accepted() -> Vec<Variant> {
    let trainers: &[(&str, Value)] = &[
        ("unsloth_fixed", json!(true)),
        ("unsloth_version", json!("2025.3.1")),
        ("attn_implementation", json!("flash_attention_2")),
        ("_attn_implementation", json!("sdpa")),
        ("keys_to_ignore_at_inference", json!(["past_key_values"])),
        ("auto_map", json!({"AutoConfig": "configuration.Config"})),
        ("model_max_length", json!(32768)),
        ("tokenizer_model_max_length", json!(32768)),
        ("tokenizer_padding_side", json!("right")),
        ("freeze_vision_tower", json!(true)),
        ("image_max_pixels", json!(1003520)),
        ("transformers.js_config", json!({"dtype": "q4"})),
        ("_valid_processor_keys", json!(["images"])),
        ("problem_type", json!("single_label_classification")),
    ];
    let mut rows = Vec::new();
    for (field, value) in trainers {
        let (field, value) = (*field, value.clone());
        rows.extend(each(ACCEPTED, format!("`{field}`"), LIBRARY, Equal, move |c| {
            c.config
                .as_object_mut()
                .unwrap()
                .insert(field.to_owned(), value.clone());
        }));
    }
    rows.extend(each(
        ACCEPTED,
        "a full `to_dict()` in `vision_config`",
        TOWERS,
        Equal,
        |c| {
            let whole = full(c.at("vision_config"));
            c.set("vision_config", whole);
        },
    ));
    rows.extend(each(
        ACCEPTED,
        "a full `to_dict()` in `text_config`",
        &["pixtral-multi-hf", "clip-quickgelu"],
        Equal,
        |c| {
            let whole = full(c.at("text_config"));
            c.set("text_config", whole);
        },
    ));
    rows
}

fn changes() -> Vec<Variant> {
    let rows: &[(&str, &[&str], &str, Value, &'static str)] = &[
        (
            "sliding windows",
            FLAT,
            "use_sliding_window",
            json!(true),
            "`use_sliding_window` is true",
        ),
        (
            "another activation",
            FLAT,
            "hidden_act",
            json!("gelu"),
            "`hidden_act` is",
        ),
        (
            "another kind of positions",
            FLAT,
            "rope_scaling.type",
            json!("dynamic"),
            "`rope_scaling.type` is",
        ),
        (
            "cross-attention",
            LIBRARY,
            "add_cross_attention",
            json!(true),
            "add_cross_attention",
        ),
        (
            "heads that were pruned",
            LIBRARY,
            "pruned_heads",
            json!({"0": [1]}),
            "pruned_heads",
        ),
        (
            "an activation in the tower",
            TOWERS,
            "vision_config.hidden_act",
            json!("mish"),
            "hidden_act",
        ),
        (
            "a layer of the tower that is not the last",
            &["pixtral-multi-hf"],
            "vision_feature_layer",
            json!(-2),
            "vision_feature_layer",
        ),
        (
            "a method of quantisation that is not read",
            &["clip-quickgelu", "vilt-vqa", "blip-caption", "pixtral-multi-hf"],
            "quantization_config",
            json!({"quant_method": "hqq"}),
            "quantization_config.quant_method",
        ),
        (
            "transforms of compressed-tensors",
            &["qwen2_5_vl-multi-449", "pixtral-multi-hf"],
            "quantization_config",
            json!({"quant_method": "compressed-tensors", "format": "pack-quantized",
                   "transform_config": {"config_groups": {"R1": {}}}}),
            "quantization_config.transform_config",
        ),
        (
            "a packing of compressed-tensors that is not read",
            &["qwen2_5_vl-multi-449", "pixtral-multi-hf"],
            "quantization_config",
            json!({"quant_method": "compressed-tensors", "format": "marlin-24"}),
            "quantization_config.format",
        ),
        (
            "words for kernels of one device",
            &["qwen2_5_vl-multi-449"],
            "quantization_config",
            json!({"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"}),
            "quantization_config.checkpoint_format",
        ),
        (
            "a text tower of another library",
            &["clip-open-clip"],
            "text_cfg.hf_model_name",
            json!("roberta"),
            "hf_model_name",
        ),
    ];
    let row =
        |(name, bases, path, value, part): &(&str, &[&'static str], &'static str, Value, &'static str)| {
            let (path, value) = (*path, value.clone());
            each(CHANGES, name, bases, Refused(part), move |c| {
                let path = match c.config.get("model_cfg") {
                    Some(_) => format!("model_cfg.{path}"),
                    None => path.to_owned(),
                };
                c.set(&path, value.clone());
            })
        };
    let mut rows: Vec<Variant> = rows.iter().flat_map(row).collect();
    rows.extend(each(
        CHANGES,
        "two values of one field on two levels",
        NESTED,
        Refused("as in `text_config.hidden_size`"),
        |c| c.set("hidden_size", json!(77)),
    ));
    rows
}

fn left_out() -> Vec<Variant> {
    let at_defaults = |c: &mut Checkpoint| {
        let defaults = [
            ("patch_size", json!(14)),
            ("spatial_merge_size", json!(2)),
            ("temporal_patch_size", json!(2)),
            ("in_channels", json!(3)),
            ("in_chans", json!(3)),
            ("mlp_ratio", json!(4)),
            ("tokens_per_second", json!(4)),
            ("window_size", json!(112)),
        ];
        for (field, default) in defaults {
            if c.at("vision_config").get(field) == Some(&default) {
                c.remove("vision_config", &[field]);
            }
        }
        c.remove("vision_config", &["hidden_act"]);
    };
    [
        each(
            LEFT_OUT,
            "`vision_config` without fields at their defaults (4.45, 4.49)",
            DEFAULTS,
            Equal,
            at_defaults,
        ),
        each(
            LEFT_OUT,
            "`tie_word_embeddings`",
            &[
                "qwen2_vl-multi-449",
                "qwen2_vl-tied-text",
                "qwen3_vl-batch-tied",
                "qwen2_5_vl-multi-457",
                "pixtral-multi-hf",
            ],
            Equal,
            |c| {
                c.remove("", &["tie_word_embeddings"]);
                if c.config.get("text_config").is_some() {
                    c.remove("text_config", &["tie_word_embeddings"]);
                }
            },
        ),
        each(
            LEFT_OUT,
            "`tie_word_embeddings` at odds with the head that is there",
            &["qwen2_vl-multi-449", "qwen2_5_vl-multi-457", "pixtral-multi-hf"],
            Equal,
            |c| c.set("tie_word_embeddings", json!(true)),
        ),
        each(
            LEFT_OUT,
            "`tie_word_embeddings` false, and no head",
            &["qwen2_vl-tied-text", "qwen3_vl-batch-tied"],
            Equal,
            |c| c.set("tie_word_embeddings", json!(false)),
        ),
        each(
            LEFT_OUT,
            "token ids of pictures beside the published ones",
            FLAT,
            Equal,
            |c| {
                c.remove(
                    "",
                    &["vision_start_token_id", "vision_end_token_id", "vision_token_id"],
                )
            },
        ),
        each(LEFT_OUT, "`transformers_version`", LIBRARY, Equal, |c| {
            c.remove("", &["transformers_version"])
        }),
        each(LEFT_OUT, "dropout and initial values", LIBRARY, Equal, |c| {
            c.remove(
                "",
                &["attention_dropout", "initializer_range", "initializer_factor"],
            )
        }),
    ]
    .concat()
}

/// The decoder's fields of a flat config.
const DECODER: &[&str] = &[
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "max_window_layers",
    "rms_norm_eps",
    "rope_scaling",
    "rope_theta",
    "sliding_window",
    "use_sliding_window",
    "vocab_size",
    "attention_dropout",
    "initializer_range",
    "use_cache",
];

fn layouts() -> Vec<Variant> {
    let nested = |c: &mut Checkpoint| {
        c.set("text_config", json!({}));
        c.nest("", "text_config", DECODER);
    };
    [
        each(
            LAYOUT,
            "the decoder under `text_config` (4.52)",
            FLAT,
            Equal,
            nested,
        ),
        each(
            LAYOUT,
            "the decoder under `text_config` and beside it (4.52, 4.57)",
            FLAT,
            Equal,
            move |c| {
                let flat = c.config.clone();
                nested(c);
                for field in DECODER {
                    if let Some(value) = flat.get(*field) {
                        c.set(field, value.clone());
                    }
                }
            },
        ),
        each(
            LAYOUT,
            "`rope_parameters` with the base inside (5.24)",
            FLAT,
            Equal,
            move |c| {
                nested(c);
                let theta = c.at("text_config.rope_theta").clone();
                let mut scaling = c.at("text_config.rope_scaling").clone();
                scaling["rope_theta"] = theta;
                c.remove("text_config", &["rope_theta", "rope_scaling"]);
                c.set("text_config.rope_parameters", scaling);
            },
        ),
        each(
            LAYOUT,
            "the tower's `rope_parameters` (5.24)",
            TOWERS_ROTATED,
            Equal,
            |c| {
                c.set(
                    "vision_config.rope_parameters",
                    json!({"rope_theta": 10000.0, "rope_type": "axial"}),
                )
            },
        ),
        each(LAYOUT, "`layer_types` (4.57)", FLAT, Equal, |c| {
            let layers = c.at("num_hidden_layers").as_u64().unwrap() as usize;
            c.set("layer_types", json!(vec!["full_attention"; layers]));
        }),
        each(LAYOUT, "`dtype` for `torch_dtype` (4.57)", LIBRARY, Equal, |c| {
            c.remove("", &["torch_dtype"]);
            c.set("dtype", json!("float32"));
        }),
        each(
            LAYOUT,
            "`model_type` of the tower with `_vision` (5.24)",
            FLAT,
            Equal,
            |c| {
                let own = c.at("model_type").as_str().unwrap().to_owned();
                c.set("vision_config.model_type", json!(format!("{own}_vision")));
            },
        ),
        each(
            LAYOUT,
            "a rotary base of the tower in `rope_parameters` (5.24)",
            &["pixtral-multi-hf"],
            Equal,
            |c| {
                let theta = c.at("text_config.rope_theta").clone();
                c.remove("text_config", &["rope_theta"]);
                c.set(
                    "text_config.rope_parameters",
                    json!({"rope_theta": theta, "rope_type": "default"}),
                );
            },
        ),
    ]
    .concat()
}

const TOWERS_ROTATED: &[&str] = &[
    "qwen2_vl-multi-449",
    "qwen2_5_vl-multi-449",
    "qwen3_vl-multi",
    "pixtral-multi-hf",
];

fn named() -> Vec<Variant> {
    [
        each(NAMES, "no `architectures`", LIBRARY, Equal, |c| {
            c.remove("", &["architectures"])
        }),
        each(
            NAMES,
            "no `architectures`",
            &[
                "blip-vqa",
                "blip-itm-itc",
                "blip_2-itm-itc",
                "vilt-mlm",
                "vilt-retrieval",
            ],
            Equal,
            |c| c.remove("", &["architectures"]),
        ),
        each(NAMES, "no `model_type`", LIBRARY, Equal, |c| {
            c.remove("", &["model_type"])
        }),
        each(NAMES, "`model_type` in `text_config` alone", NESTED, Equal, |c| {
            c.remove("", &["architectures", "model_type"])
        }),
        each(
            NAMES,
            "an architecture of another name",
            &["qwen2_vl-multi-449", "qwen3_vl-multi", "clip-quickgelu"],
            Equal,
            |c| c.set("architectures", json!(["MyFineTunedModel"])),
        ),
        each(
            NAMES,
            "the architecture of another family",
            &["qwen2_5_vl-multi-449"],
            Equal,
            |c| c.set("architectures", json!(["Qwen2VLForConditionalGeneration"])),
        ),
        each(NAMES, "neither", &["clip-quickgelu"], Equal, |c| {
            c.remove("", &["architectures", "model_type"])
        }),
    ]
    .concat()
}
