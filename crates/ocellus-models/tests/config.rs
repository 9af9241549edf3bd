//! Configs that are refused, each naming its field, and configs that are read.

use ocellus_models::families::{find, parse};
use ocellus_models::plan::Shape;
use ocellus_models::{ConfigError, ConfigFile, ModelError};
use ocellus_nn::decoder::{Head, Positions};
use ocellus_nn::rope::{Rope, Yarn};
use ocellus_testkit::case::goldens_dir;
use ocellus_testkit::test_each;
use serde_json::{Value, json};

/// Everything on one level, as the first checkpoints were published.
fn flat() -> ConfigFile {
    golden("qwen2_5_vl-multi-449")
}

/// The decoder under `text_config`, as newer libraries write it.
fn nested() -> ConfigFile {
    golden("qwen2_5_vl-multi-457")
}

fn golden(case: &str) -> ConfigFile {
    let path = goldens_dir().join(case).join("model/config.json");
    parse(&std::fs::read_to_string(path).expect("the golden config is there")).expect("it is JSON")
}

fn shape(config: &ConfigFile) -> Result<Shape, ConfigError> {
    (find(config)?.shape.unwrap())(config).map_err(|e| match e {
        ModelError::Config(e) => e,
        other => panic!("not a config error: {other}"),
    })
}

/// `config` with the field at a dotted path set, or removed for `null`.
fn with(mut config: ConfigFile, path: &str, value: Value) -> ConfigFile {
    let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut at = &mut *config;
    for parent in parents.split('.').filter(|p| !p.is_empty()) {
        at = &mut at[parent];
    }
    let object = at.as_object_mut().expect("the path leads to an object");
    if value.is_null() {
        object.remove(key).expect("there is something to remove");
    } else {
        object.insert(key.to_owned(), value);
    }
    config
}

#[derive(Debug)]
enum Wanted {
    Missing(&'static str),
    Value(&'static str),
}

#[test]
fn each_wrong_field_is_named() {
    use Wanted::{Missing, Value as Wrong};
    let table = [
        (
            flat(),
            "rope_scaling",
            json!(null),
            Missing("rope_scaling.mrope_section"),
        ),
        (
            nested(),
            "text_config.rope_parameters.mrope_section",
            json!(null),
            Missing("text_config.rope_parameters.mrope_section"),
        ),
        (flat(), "hidden_size", json!("48"), Wrong("hidden_size")),
        (flat(), "num_hidden_layers", json!(0), Wrong("num_hidden_layers")),
        (
            flat(),
            "num_hidden_layers",
            json!(1.5),
            Wrong("num_hidden_layers"),
        ),
        (flat(), "vocab_size", json!(-160), Wrong("vocab_size")),
        (flat(), "vocab_size", json!(1u64 << 40), Wrong("vocab_size")),
        (
            flat(),
            "video_token_id",
            json!(1u64 << 32),
            Wrong("video_token_id"),
        ),
        (flat(), "rms_norm_eps", json!("small"), Wrong("rms_norm_eps")),
        (
            flat(),
            "tie_word_embeddings",
            json!("no"),
            Wrong("tie_word_embeddings"),
        ),
        (
            flat(),
            "num_key_value_heads",
            json!(3),
            Wrong("num_key_value_heads"),
        ),
        (flat(), "hidden_act", json!("gelu"), Wrong("hidden_act")),
        (
            flat(),
            "use_sliding_window",
            json!(true),
            Wrong("use_sliding_window"),
        ),
        (
            flat(),
            "layer_types",
            json!(["full_attention", "sliding_attention"]),
            Wrong("layer_types"),
        ),
        (flat(), "vision_config", json!([]), Wrong("vision_config")),
        (
            flat(),
            "vision_config.hidden_act",
            json!("gelu"),
            Wrong("vision_config.hidden_act"),
        ),
        (
            flat(),
            "vision_config.hidden_act",
            json!("quick_gelu"),
            Wrong("vision_config.hidden_act"),
        ),
        (
            flat(),
            "vision_config.fullatt_block_indexes",
            json!([1, -1]),
            Wrong("vision_config.fullatt_block_indexes"),
        ),
        (
            golden("qwen2_vl-multi-449"),
            "vision_config.hidden_act",
            json!("silu"),
            Wrong("vision_config.hidden_act"),
        ),
        (
            flat(),
            "rope_scaling.mrope_section",
            json!([1, 2, 4]),
            Wrong("rope_scaling.mrope_section"),
        ),
        (
            flat(),
            "rope_scaling.mrope_section",
            json!([2, 4]),
            Wrong("rope_scaling.mrope_section"),
        ),
        (
            flat(),
            "rope_scaling.type",
            json!("linear"),
            Wrong("rope_scaling.type"),
        ),
        (
            flat(),
            "rope_scaling.rope_type",
            json!("dynamic"),
            Wrong("rope_scaling.rope_type"),
        ),
        (
            flat(),
            "rope_scaling.mrope_interleaved",
            json!(true),
            Wrong("rope_scaling.mrope_interleaved"),
        ),
        (
            nested(),
            "text_config.layer_types",
            json!(["sliding_attention", "full_attention"]),
            Wrong("text_config.layer_types"),
        ),
        (
            nested(),
            "text_config.use_sliding_window",
            json!(true),
            Wrong("text_config.use_sliding_window"),
        ),
        (
            nested(),
            "text_config.num_key_value_heads",
            json!(3),
            Wrong("text_config.num_key_value_heads"),
        ),
        (
            nested(),
            "vision_config.rope_parameters.rope_theta",
            json!(500.0),
            Wrong("vision_config.rope_parameters.rope_theta"),
        ),
        // A copy of a nested field that says something else.
        (nested(), "hidden_size", json!(64), Wrong("hidden_size")),
    ];
    let named = table
        .into_iter()
        .map(|(base, path, value, wanted)| (format!("{path} = {value}"), (with(base, path, value), wanted)));
    test_each(named, |(config, wanted)| {
        let error = shape(config).err().expect("the config is refused");
        let (right, name) = match (&error, wanted) {
            (ConfigError::Missing { field }, Missing(name)) => (field == name, name),
            (ConfigError::Value { field, .. }, Wrong(name)) => (field == name, name),
            (_, Missing(name) | Wrong(name)) => (false, name),
        };
        assert!(right, "{error:?}, expected {wanted:?}");
        assert!(error.to_string().contains(name), "{error}");
    });
}

/// What the reference does not know either: the model runs, and a warning names it.
#[test]
fn a_field_that_nobody_knows_is_a_warning() {
    let table = [
        (flat(), "logit_scale", json!(2.0), "logit_scale"),
        (
            flat(),
            "vision_config.qk_norm",
            json!(true),
            "vision_config.qk_norm",
        ),
        (
            nested(),
            "text_config.qk_norm",
            json!(false),
            "text_config.qk_norm",
        ),
        (
            flat(),
            "rope_scaling.long_factor",
            json!([1.0]),
            "rope_scaling.long_factor",
        ),
        // A factor without the kind of scaling that it belongs to.
        (flat(), "rope_scaling.factor", json!(4.0), "rope_scaling.factor"),
        (flat(), "attention_bias", json!(false), "attention_bias"),
    ];
    let named = table.map(|(base, path, value, field)| (path, (with(base, path, value), field)));
    test_each(named, |(config, field)| {
        shape(config).unwrap();
        let said = config.warnings();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].to_string().contains(field), "{}", said[0]);
        let error = config.strict().expect_err("strictly an error").to_string();
        assert_eq!(error, said[0].to_string());
    });
}

/// Fields of base classes, trainers and exporters, a class's own fields at their defaults, and what is null.
#[test]
fn a_field_that_does_not_reach_the_computation_is_accepted() {
    for (path, value) in [
        ("unsloth_fixed", json!(true)),
        ("attn_implementation", json!("flash_attention_2")),
        ("_attn_implementation", json!("sdpa")),
        ("_attn_implementation_autoset", json!(true)),
        ("keys_to_ignore_at_inference", json!(["past_key_values"])),
        ("auto_map", json!({"AutoModel": "modeling.Model"})),
        ("id2label", json!({"0": "LABEL_0"})),
        ("tokenizer_padding_side", json!("right")),
        ("freeze_vision_tower", json!(true)),
        ("image_max_pixels", json!(1003520)),
        ("transformers.js_config", json!({})),
        ("add_cross_attention", json!(false)),
        ("pruned_heads", json!({})),
        ("max_length", json!(20)),
        ("something_new", json!(null)),
        ("vision_config._attn_implementation_autoset", json!(true)),
        ("vision_config.initializer_range", json!(0.01)),
        ("vision_config.in_channels", json!(3)),
        ("vision_config.torch_dtype", json!("bfloat16")),
    ] {
        let mut config = flat();
        let (parents, key) = path
            .rsplit_once("vision_config.")
            .map_or(("", path), |(_, key)| ("vision_config", key));
        let object = if parents.is_empty() {
            &mut *config
        } else {
            &mut config[parents]
        };
        object.as_object_mut().unwrap().insert(key.to_owned(), value);
        shape(&config).unwrap();
        assert!(config.warnings().is_empty(), "{path}: {:?}", config.warnings());
    }
    for (path, value) in [("is_decoder", json!(true)), ("pruned_heads", json!({"0": [1]}))] {
        let error = shape(&with(flat(), path, value))
            .err()
            .expect("it changes numbers")
            .to_string();
        assert!(error.contains(path), "{error}");
    }
}

/// A file that lists only differences has the defaults of the reference's classes.
#[test]
fn what_a_file_leaves_out_is_as_in_the_references_class() {
    let mut config = golden("qwen2_5_vl-multi-449");
    config["vision_config"] =
        json!({ "hidden_size": 1280, "out_hidden_size": 48, "model_type": "qwen2_5_vl" });
    let tower = shape(&config).unwrap().vision;
    assert_eq!(
        (tower.windows.unwrap().side, tower.windows.unwrap().whole),
        (8, 4)
    );
    assert!(config.warnings().is_empty());
    let mut config = golden("qwen2_vl-multi-449");
    config["vision_config"] = json!({ "in_chans": 3, "spatial_patch_size": 14 });
    for field in [
        "rms_norm_eps",
        "num_key_value_heads",
        "image_token_id",
        "max_position_embeddings",
    ] {
        config.as_object_mut().unwrap().remove(field);
    }
    config["num_attention_heads"] = json!(24);
    config["rope_scaling"]["mrope_section"] = json!([0, 0, 1]);
    let read = shape(&config).unwrap();
    assert_eq!(read.decoder.block.attention.kv_heads, 8);
    assert_eq!(
        (read.facts.image_token, read.facts.max_positions),
        (Some(151655), 32768)
    );
    assert_eq!(read.facts.patch_features, 3 * 2 * 14 * 14);
}

#[test]
fn an_unknown_architecture_is_named_with_those_that_are_known() {
    let config = json!({ "model_type": "other", "architectures": ["OtherForCausalLM"] });
    let text = find(&config).err().expect("nobody reads it").to_string();
    assert!(
        text.contains("OtherForCausalLM") && text.contains("Qwen2_5_VLForConditionalGeneration"),
        "{text}"
    );
    let text = find(&json!({ "model_type": "other" })).err().unwrap().to_string();
    assert!(text.contains("`other`"), "{text}");
    assert!(matches!(parse("{ \"hidden_size\": "), Err(ConfigError::Json(_))));
    assert!(find(&json!([])).is_err());
}

#[test]
fn the_architecture_finds_the_family_where_the_type_does_not() {
    let config = with(flat(), "model_type", json!(null));
    assert_eq!(find(&config).unwrap().id, "qwen2_5_vl");
}

#[test]
fn both_layouts_say_the_same() {
    let (flat, nested) = (shape(&flat()).unwrap(), shape(&nested()).unwrap());
    assert_eq!(format!("{:?}", flat.decoder), format!("{:?}", nested.decoder));
    assert_eq!(format!("{:?}", flat.vision), format!("{:?}", nested.vision));
    assert_eq!(format!("{:?}", flat.facts), format!("{:?}", nested.facts));
    assert_eq!(
        (flat.decoder.block.width, flat.decoder.layers, flat.decoder.vocab),
        (48, 2, 160)
    );
    assert_eq!(
        (flat.facts.image_token, flat.facts.max_positions),
        (Some(8), 2048)
    );
}

#[test]
fn fields_on_both_levels_must_agree() {
    let inside = nested()["text_config"].clone();
    let mut both = nested();
    for (key, value) in inside.as_object().unwrap() {
        if key != "model_type" && !value.is_null() {
            both = with(both, key, value.clone());
        }
    }
    let both = with(both, "text_config.image_token_id", json!(8));
    assert_eq!(
        format!("{:?}", shape(&both).unwrap().decoder),
        format!("{:?}", shape(&nested()).unwrap().decoder)
    );
    // What nobody reads stays unread, however often it is there.
    let unknown = with(
        with(both, "logit_scale", json!(2.0)),
        "text_config.logit_scale",
        json!(2.0),
    );
    shape(&unknown).unwrap();
    assert_eq!(unknown.warnings().len(), 2);
}

fn is_tied(config: &ConfigFile) -> bool {
    matches!(shape(config).unwrap().decoder.head, Head::Tied { .. })
}

fn rope(config: &ConfigFile) -> Rope {
    match shape(config).unwrap().decoder.positions {
        Positions::Rotary(rope) => rope,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tied_head_is_read_from_either_level() {
    for (base, path, tied) in [
        (flat(), "tie_word_embeddings", true),
        (nested(), "tie_word_embeddings", true),
        (flat(), "tie_word_embeddings", false),
    ] {
        let config = with(base, path, json!(tied));
        assert_eq!(is_tied(&config), tied, "{path} {tied}");
    }
    let inside = with(nested(), "tie_word_embeddings", json!(null));
    let inside = with(inside, "text_config.tie_word_embeddings", json!(true));
    assert!(is_tied(&inside));
}

#[test]
fn yarn_is_read_and_changes_the_angles() {
    let plain = rope(&flat());
    assert_eq!(plain.yarn, None);
    let published = json!({
        "type": "yarn", "mrope_section": [1, 2, 3], "factor": 4.0, "original_max_position_embeddings": 512
    });
    let rope_of = rope;
    let rope = rope_of(&with(flat(), "rope_scaling", published.clone()));
    let expected = Yarn {
        factor: 4.0,
        original_positions: 512.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        attention_factor: None,
    };
    assert_eq!(rope.yarn, Some(expected));
    assert_ne!(rope.frequencies(12), plain.frequencies(12));
    assert_eq!(rope.sections, plain.sections);

    let all = json!({
        "rope_type": "yarn", "mrope_section": [1, 2, 3], "factor": 2.0, "original_max_position_embeddings": 1024,
        "beta_fast": 20.0, "beta_slow": 2.0, "attention_factor": 1.25, "rope_theta": 5000.0
    });
    let rope = rope_of(&with(nested(), "text_config.rope_parameters", all));
    let expected = Yarn {
        factor: 2.0,
        original_positions: 1024.0,
        beta_fast: 20.0,
        beta_slow: 2.0,
        attention_factor: Some(1.25),
    };
    assert_eq!((rope.theta, rope.yarn), (5000.0, Some(expected)));

    for field in ["factor", "original_max_position_embeddings"] {
        let mut short = published.clone();
        short.as_object_mut().unwrap().remove(field);
        let config = with(flat(), "rope_scaling", short);
        let error = shape(&config).err().expect("it must be there").to_string();
        assert!(error.contains(&format!("rope_scaling.{field}")), "{error}");
    }
}

/// The block that READMEs print beside the other fields, where the reference does not read it.
#[test]
fn a_block_in_the_wrong_place_is_a_warning_that_names_the_right_one() {
    let mut config = flat();
    for (key, value) in [
        ("type", json!("yarn")),
        ("factor", json!(4.0)),
        ("mrope_section", json!([1, 2, 3])),
        ("original_max_position_embeddings", json!(32768)),
    ] {
        config.as_object_mut().unwrap().insert(key.to_owned(), value);
    }
    assert_eq!(rope(&config).yarn, None);
    let said = config.warnings();
    assert_eq!(said.len(), 1, "{said:?}");
    let text = said[0].to_string();
    assert!(
        text.contains("factor, mrope_section") && text.contains("`rope_scaling`"),
        "{text}"
    );
}
