//! What is refused, by name, and what is told from little.

use candle_core::{DType, Device, Tensor};
use ocellus_models::families::find;
use ocellus_models::{ConfigError, ModelError, Regions, VisualInput};
use ocellus_testkit::{Case, test_each};
use serde_json::{Value, json};

use crate::checkpoint::{config, load, matched, model, picture, two_streams};

#[test]
fn wrong_input_is_refused_and_named() {
    let features = |shape: (usize, usize)| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
    let with = |change: &dyn Fn(&mut Regions)| {
        let mut picture = picture();
        change(&mut picture);
        VisualInput::Regions(vec![picture])
    };
    let good = || VisualInput::Regions(vec![picture()]);
    let patches = VisualInput::Pictures {
        patches: features((4, 12)),
        grids: Vec::new(),
    };
    let table = [
        (
            "another width",
            (with(&|p| p.features = features((2, 19))), vec![1, 2], "[2, 19]"),
        ),
        (
            "no regions",
            (
                with(&|p| (p.features, p.boxes) = (features((0, 20)), Vec::new())),
                vec![1, 2],
                "at least one region",
            ),
        ),
        (
            "a box too few",
            (with(&|p| p.boxes.truncate(1)), vec![1, 2], "1 boxes"),
        ),
        (
            "a box of nothing",
            (with(&|p| p.boxes[1][2] = f32::NAN), vec![1, 2], "NaN"),
        ),
        ("no height", (with(&|p| p.height = 0.0), vec![1, 2], "10 x 0 px")),
        (
            "no picture",
            (VisualInput::Regions(Vec::new()), vec![1, 2], "0 pictures"),
        ),
        ("patches", (patches, vec![1, 2], "region features")),
        ("no words", (good(), vec![], "text 0")),
        ("an unknown word", (good(), vec![1, 99], "99")),
        ("too many words", (good(), vec![1; 41], "at most 40 tokens")),
    ];
    for name in ["uniter-mlm-itm", "vilbert-pretrain"] {
        let model = model(name);
        test_each(
            table.clone(),
            |(visual, text, said): &(VisualInput, Vec<u32>, &str)| {
                let result = model.matcher().unwrap().scores(visual, &[&text[..]]);
                let message = result.expect_err("it is refused").to_string();
                assert!(message.contains(said), "{name}: {message}");
            },
        );
        let hidden = model
            .masked_region_head()
            .unwrap()
            .predictions(&good(), &[&[1, 2]], &[&[2]]);
        let message = hidden.expect_err("there is no third region").to_string();
        assert!(message.contains("under 2"), "{name}: {message}");
        let lists = model
            .masked_region_head()
            .unwrap()
            .predictions(&good(), &[&[1, 2]], &[]);
        assert!(lists.is_err(), "{name}: no list of hidden regions");
    }
}

#[test]
fn configs_without_a_name_are_told_by_their_fields() {
    let bare = |case: &str, without: &[&str]| {
        let mut config = config(case);
        let object = config.as_object_mut().unwrap();
        without.iter().for_each(|key| drop(object.remove(*key)));
        config
    };
    let sizes = &["architectures", "img_dim", "img_label_dim", "num_answer"];
    assert_eq!(
        find(&bare("vilbert-vqa", &["architectures"])).unwrap().id,
        "vilbert"
    );
    assert_eq!(find(&bare("uniter-vqa", sizes)).unwrap().id, "uniter");
    let mut text = bare("uniter-vqa", sizes);
    text["model_type"] = json!("bert");
    assert!(find(&text).is_err(), "a text model is not claimed");
    let part = bare("uniter-vqa", &["architectures", "vocab_size"]);
    assert!(find(&part).is_err(), "half a config is not claimed");
}

#[test]
fn heads_are_found_in_files_whose_config_names_none() {
    for name in ["vilbert-vqa", "uniter-vqa"] {
        let mut config = config(name);
        config.as_object_mut().unwrap().remove("architectures");
        let model = load(name, &config).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(model.classifier().is_some(), "{name}");
    }
}

#[test]
fn configs_that_ask_for_something_else_are_refused() {
    let two = |key: &'static str, value: Value| ("vilbert-vqa", key, value);
    let one = |key: &'static str, value: Value| ("uniter-vqa", key, value);
    let table = [
        two("dynamic_attention", json!(true)),
        two("with_coattention", json!(false)),
        two("in_batch_pairs", json!(true)),
        two("fusion_method", json!("text")),
        two("model", json!("roberta")),
        two("hidden_act", json!("selu")),
        two("v_hidden_act", json!(7)),
        two("v_num_attention_heads", json!(5)),
        two("bi_num_attention_heads", json!(7)),
        two("v_biattention_id", json!([0, 1, 1])),
        two("v_biattention_id", json!([1, 0])),
        two("v_biattention_id", json!([0, 2])),
        two("vocab_size", Value::Null),
        two("id2label", json!({"0": "yes"})),
        one("hidden_act", json!("gelu_new")),
        one("num_attention_heads", json!(5)),
        one("type_vocab_size", json!(1)),
        one("vocab_size", json!(0)),
        one("id2label", json!(["yes", "no"])),
    ];
    for (case, key, value) in table {
        let mut config = config(case);
        config[key] = value.clone();
        match load(case, &config) {
            Err(ModelError::Config(error)) => {
                let message = error.to_string();
                assert!(message.contains(key), "{case}, {key} = {value}: {message}");
                assert!(!matches!(error, ConfigError::Json(_)));
            }
            Err(other) => panic!("{case}, {key} = {value}: {other}"),
            Ok(_) => panic!("{case}, {key} = {value}: loaded"),
        }
    }
}

#[test]
fn texts_of_answers_come_from_the_config() {
    let mut config = config("uniter-vqa");
    let labels: Vec<String> = (0..13).map(|i| format!("answer {i}")).collect();
    config["id2label"] = labels
        .iter()
        .enumerate()
        .map(|(i, l)| (i.to_string(), json!(l)))
        .collect();
    let model = load("uniter-vqa", &config).unwrap();
    assert_eq!(model.classifier().unwrap().labels(), labels);
}

#[test]
fn sizes_that_the_file_does_not_have_are_named() {
    for (case, key) in [("vilbert-vqa", "v_feature_size"), ("uniter-vqa", "img_dim")] {
        let mut config = config(case);
        config[key] = json!(21);
        let message = load(case, &config).err().expect("it is refused").to_string();
        assert!(
            message.contains("20]") && message.contains("21]"),
            "{case}: {message}"
        );
    }
}

#[test]
fn the_token_of_the_task_is_there_when_the_file_has_it() {
    let case = Case::golden("vilbert-multitask");
    let (texts, regions) = two_streams(&case);
    let with = |flag: Option<bool>| {
        let mut config = config("vilbert-multitask");
        match flag {
            Some(flag) => config["task_specific_tokens"] = json!(flag),
            None => drop(config.as_object_mut().unwrap().remove("task_specific_tokens")),
        }
        load("vilbert-multitask", &config)
    };
    let said = matched(with(Some(true)).unwrap().as_ref(), &texts, &regions);
    let silent = matched(with(None).unwrap().as_ref(), &texts, &regions);
    assert_eq!(said, silent);
    let message = with(Some(false))
        .err()
        .expect("the table is left over")
        .to_string();
    assert!(message.contains("task_embeddings"), "{message}");
}
