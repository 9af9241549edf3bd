//! Configs that are read or refused, inputs that are refused, and capabilities compared with the reference.

use candle_core::Tensor;
use ocellus_nn::{Act, Norm, Taps};
use ocellus_testkit::{assert_close, test_each};
use serde_json::{Value, json};

use super::config::EndOfText;
use super::layout::Publication;
use crate::capabilities::Embedder;
use crate::families::testing::{Golden, refused, slices};
use crate::visual_input::{Regions, VisualInput};

/// A config like those of the publisher's first models on model hubs, shortened.
fn published() -> Value {
    json!({
        "architectures": ["CLIPModel"], "initializer_factor": 1.0, "logit_scale_init_value": 2.6592, "model_type": "clip",
        "projection_dim": 768, "text_config": {
            "add_cross_attention": false, "bos_token_id": 0, "chunk_size_feed_forward": 0, "do_sample": false,
            "dropout": 0.0, "eos_token_id": 2, "id2label": {"0": "LABEL_0"}, "is_decoder": false, "pruned_heads": {},
            "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "top_p": 1.0
        },
        "text_config_dict": {"hidden_size": 768, "num_hidden_layers": 12},
        "vision_config": {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
            "num_hidden_layers": 24, "patch_size": 14},
        "vision_config_dict": null
    })
}

#[test]
fn a_published_config_is_read_with_the_defaults_of_the_library() {
    let config = super::read(&published().into()).unwrap();
    assert_eq!(
        (config.layout, config.embed, config.end),
        (Publication::Library, 768, EndOfText::Highest)
    );
    let (text, vision) = (&config.text, &config.vision);
    assert_eq!((text.vocab, text.positions, text.encoder.layers), (49408, 77, 12));
    assert_eq!(
        (text.encoder.block.width, text.encoder.block.attention.head_dim),
        (768, 64)
    );
    assert_eq!(text.encoder.block.norm, Norm::layer(1e-5));
    assert_eq!((vision.encoder.layers, vision.encoder.block.width), (24, 1024));
    assert_eq!((vision.patch, vision.positions), (3 * 14 * 14, Some((16, 16))));
    let bare = super::read(&json!({ "model_type": "clip" }).into()).unwrap();
    assert_eq!((bare.embed, bare.end), (512, EndOfText::First(49407)));
    assert_eq!(
        (bare.text.encoder.block.width, bare.vision.encoder.block.width),
        (512, 768)
    );
    assert_eq!(bare.vision.positions, Some((7, 7)));
}

#[test]
fn the_largest_open_model_is_read_with_its_own_head_width() {
    let config = json!({
        "embed_dim": 1280,
        "vision_cfg": { "image_size": 224, "layers": 48, "width": 1664, "head_width": 104, "mlp_ratio": 4.9231,
            "patch_size": 14 },
        "text_cfg": { "context_length": 77, "vocab_size": 49408, "width": 1280, "heads": 20, "layers": 32 }
    });
    let inside = |config: &Value| {
        let config = super::read(&config.clone().into()).unwrap();
        let (text, vision) = (config.text.encoder.block, config.vision.encoder.block);
        assert_eq!((vision.attention.heads, vision.attention.head_dim), (16, 104));
        assert_eq!((text.attention.heads, text.attention.head_dim), (20, 64));
        (format!("{:?}", vision.mlp), format!("{:?}", text.mlp))
    };
    let (vision, text) = inside(&config);
    assert!(
        vision.contains("width: 8192") && vision.contains("Gelu"),
        "{vision}"
    );
    assert!(text.contains("width: 5120"), "{text}");
    let mut wrapped = json!({ "model_cfg": config, "preprocess_cfg": { "mean": [0.5, 0.5, 0.5] } });
    wrapped["model_cfg"]["quick_gelu"] = json!(true);
    assert!(inside(&wrapped).0.contains("QuickGelu"));
    assert_eq!(crate::families::find(&wrapped).unwrap().id, "clip");
}

#[test]
fn options_of_the_open_layout_change_the_model() {
    let read = |text: Value, vision: Value| {
        let whole = json!({ "embed_dim": 8, "text_cfg": text, "vision_cfg": vision });
        super::read(&whole.into()).unwrap()
    };
    let config = read(
        json!({ "pool_type": "eos", "eos_id": 7 }),
        json!({ "no_ln_pre": true }),
    );
    assert_eq!(
        (config.end, config.vision.norm_before),
        (EndOfText::First(7), None)
    );
    let options = json!({ "act_kwargs": { "approximate": "tanh" }, "norm_kwargs": { "eps": 1e-6 } });
    let block = read(options.clone(), options).text.encoder.block;
    assert_eq!(block.norm, Norm::layer(1e-6));
    assert!(format!("{:?}", block.mlp).contains(&format!("{:?}", Act::GeluTanh)));
}

#[test]
fn the_end_token_is_found_as_in_the_reference() {
    let table = [
        ("highest", (EndOfText::Highest, vec![1, 9, 3, 9], 1)),
        ("first of its id", (EndOfText::First(3), vec![1, 9, 3, 3], 2)),
        ("absent", (EndOfText::First(4), vec![1, 9, 3], 0)),
    ];
    test_each(table, |(end, ids, place)| assert_eq!(end.find(ids), *place));
}

#[test]
fn what_cannot_be_computed_is_refused_by_name() {
    let table = [
        (
            "clip-quickgelu",
            "text_config.num_attention_heads",
            json!(5),
            "text_config.heads",
        ),
        (
            "clip-quickgelu",
            "text_config.hidden_act",
            json!("swiglu"),
            "text_config.hidden_act",
        ),
        (
            "clip-quickgelu",
            "text_config.eos_token_id",
            json!([1, 2]),
            "text_config.eos_token_id",
        ),
        (
            "clip-quickgelu",
            "text_config.is_decoder",
            json!(true),
            "text_config.is_decoder",
        ),
        (
            "clip-quickgelu",
            "vision_config.patch_size",
            json!(99),
            "vision_config.patch_size",
        ),
        (
            "clip-quickgelu",
            "vision_config.patch_size",
            json!([8, 4]),
            "vision_config.patch_size",
        ),
        ("clip-quickgelu", "vision_config", json!([]), "vision_config"),
        ("clip-quickgelu", "projection_dim", json!(0), "projection_dim"),
        (
            "clip-quickgelu",
            "vision_config_dict",
            json!({ "hidden_size": 64 }),
            "vision_config_dict.hidden_size",
        ),
        (
            "clip-quickgelu",
            "text_config.vocab_size",
            json!(161),
            "text_model.embeddings.token_embedding.weight",
        ),
        (
            "clip-quickgelu",
            "vision_config.image_size",
            json!(32),
            "vision_model.embeddings.position_embedding.weight",
        ),
        (
            "clip-quickgelu",
            "text_config.num_hidden_layers",
            json!(1),
            "text_model.encoder.layers.1.",
        ),
        (
            "clip-quickgelu",
            "text_config.num_hidden_layers",
            json!(3),
            "text_model.encoder.layers.2.",
        ),
        (
            "clip-open-clip",
            "model_cfg.custom_text",
            json!(true),
            "model_cfg.custom_text",
        ),
        (
            "clip-open-clip",
            "model_cfg.init_logit_bias",
            json!(-10),
            "model_cfg.init_logit_bias",
        ),
        (
            "clip-open-clip",
            "model_cfg.embed_dim",
            json!(23),
            "text_projection",
        ),
        (
            "clip-open-clip",
            "model_cfg.vision_cfg.layers",
            json!([3, 4, 6, 3]),
            "model_cfg.vision_cfg.layers",
        ),
        (
            "clip-open-clip",
            "model_cfg.vision_cfg.timm_model_name",
            json!("x"),
            "vision_cfg.timm_model_name",
        ),
        (
            "clip-open-clip",
            "model_cfg.vision_cfg.pool_type",
            json!("avg"),
            "model_cfg.vision_cfg.pool_type",
        ),
        (
            "clip-open-clip",
            "model_cfg.vision_cfg.head_width",
            json!(64),
            "model_cfg.vision_cfg.heads",
        ),
        (
            "clip-open-clip",
            "model_cfg.vision_cfg.mlp_ratio",
            json!(-1.0),
            "model_cfg.vision_cfg.mlp_ratio",
        ),
        (
            "clip-open-clip",
            "model_cfg.vision_cfg.ls_init_value",
            json!(0.1),
            "model_cfg.vision_cfg.ls_init_value",
        ),
        (
            "clip-open-clip",
            "model_cfg.text_cfg.pool_type",
            json!("last"),
            "model_cfg.text_cfg.pool_type",
        ),
        (
            "clip-open-clip",
            "model_cfg.text_cfg.hf_model_name",
            json!("x"),
            "model_cfg.text_cfg.hf_model_name",
        ),
        (
            "clip-open-clip",
            "model_cfg.text_cfg.norm_kwargs",
            json!({ "bias": false }),
            "norm_kwargs.bias",
        ),
        (
            "clip-open-clip",
            "model_cfg.text_cfg.mlp_ratio",
            json!(4.0),
            "transformer.resblocks.0.mlp.c_fc.weight",
        ),
    ];
    let named =
        table.map(|(case, path, value, part)| (format!("{path} = {value}"), (case, path, value, part)));
    test_each(named, |(case, path, value, part)| {
        refused(Golden::open(case).set(path, value.clone()).load(), part);
    });
    let extra = Golden::open("clip-quickgelu").put("logit_bias", &[], vec![1.0]);
    refused(extra.load(), "logit_bias");
}

#[test]
fn what_the_publishers_files_note_beside_the_weights_is_left_alone() {
    let noted = Golden::open("clip-open-clip").put("input_resolution", &[], vec![24.0]);
    noted.put("context_length", &[], vec![10.0]).load().unwrap();
}

/// Lengths of the texts, end tokens included.
fn lengths(golden: &Golden, ids: &str, end: u32) -> Vec<usize> {
    let input = golden.case.input(ids);
    let ids = input.ids();
    let rows = ids.chunks(input.shape[1]);
    rows.map(|row| row.iter().position(|id| *id == end).unwrap() + 1)
        .collect()
}

#[test]
fn embeddings_of_texts_without_padding_are_the_references() {
    let table = [
        ("clip-quickgelu", ("input_ids", "pixel_values")),
        ("clip-gelu-legacy-eos", ("input_ids", "pixel_values")),
        ("clip-open-clip", ("text", "image")),
    ];
    test_each(
        table.map(|(case, names)| (case, (case, names))),
        |(case, (ids, pixels))| {
            let golden = Golden::open(case);
            let model = golden.load().unwrap();
            let (embedder, matcher) = (model.embedder().unwrap(), model.matcher().unwrap());
            let texts = golden.texts(ids, &lengths(&golden, ids, 159));
            let visual = golden.visual(pixels, 8, None);
            let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            golden
                .case
                .assert_close("text_embeds", &flat(embedder.texts(&slices(&texts)).unwrap()));
            golden
                .case
                .assert_close("image_embeds", &flat(embedder.pictures(&visual).unwrap()));
            let scores = golden.case.expect("logits_per_image").f32s();
            let pairs = matcher.scores(&visual, &slices(&texts)).unwrap();
            let scaled: Vec<f32> = pairs
                .iter()
                .map(|p| p.similarity.unwrap() * embedder.scale().unwrap())
                .collect();
            let wanted: Vec<f32> = (0..texts.len()).map(|i| scores[i * texts.len() + i]).collect();
            assert_close("scaled cosines", &scaled, &wanted, 1e-4, 1e-4);
            assert!(pairs.iter().all(|p| p.matched.is_none()));
            // A text's embedding does not depend on the other texts of the batch.
            let alone = flat(embedder.texts(&[&texts[1]]).unwrap());
            let width = alone.len();
            assert_eq!(
                flat(embedder.texts(&slices(&texts)).unwrap())[width..2 * width],
                alone
            );
        },
    );
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let golden = Golden::open("clip-quickgelu");
    let model = golden.load().unwrap();
    let embedder: &dyn Embedder = model.embedder().unwrap();
    refused(
        embedder.texts(&[&[3; 17]]),
        "a text has 17, expected 1 to 16 tokens",
    );
    refused(embedder.texts(&[&[158, 159], &[]]), "a text has none");
    refused(embedder.texts(&[]), "the input has none");
    refused(embedder.texts(&[&[160]]), "token id 160");
    let visual = golden.visual("pixel_values", 8, None);
    refused(
        model.matcher().unwrap().scores(&visual, &[&[158, 159]]),
        "expected 2, one a picture",
    );
    refused(
        embedder.pictures(&golden.visual("pixel_values", 4, None)),
        "the patches",
    );
    let VisualInput::Pictures { patches, mut grids } = visual else {
        panic!()
    };
    grids[0].t = 2;
    refused(
        embedder.pictures(&VisualInput::Pictures { patches, grids }),
        "one frame",
    );
    let regions = Regions {
        features: Tensor::zeros((1, 4), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap(),
        boxes: vec![[0.0; 4]],
        width: 1.0,
        height: 1.0,
    };
    refused(
        embedder.pictures(&VisualInput::Regions(vec![regions])),
        "region features",
    );
}

#[test]
fn every_tensor_gets_a_gradient_in_both_layouts() {
    for case in ["clip-quickgelu", "clip-open-clip"] {
        let golden = Golden::open(case);
        let (model, source) = golden.train();
        let mut loss = None;
        let mut listen = |name: &str, t: &Tensor| {
            if name == "loss" {
                loss = Some(t.clone());
            }
        };
        model.trace(&golden.given(), &mut Taps::new(&mut listen)).unwrap();
        let gradients = loss.unwrap().backward().unwrap();
        for (name, var) in source.vars() {
            let gradient = gradients
                .get(&var)
                .unwrap_or_else(|| panic!("{case}: `{name}` has none"));
            assert_eq!(gradient.dims(), var.dims(), "{case}: `{name}`");
        }
    }
}
