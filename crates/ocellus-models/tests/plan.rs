//! The sizes of published checkpoints, computed from their configs alone.

use ocellus_models::families::find;
use ocellus_models::plan::Shape;
use serde_json::{Value, json};

/// The fields that decide sizes, in the published layout.
fn published(model_type: &str, decoder: Value, vision: Value) -> Value {
    let mut config = json!({
        "model_type": model_type,
        "image_token_id": 151655, "video_token_id": 151656, "vision_start_token_id": 151652,
        "vision_end_token_id": 151653, "vision_token_id": 151654,
        "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "sliding_window": 32768,
        "use_sliding_window": false, "torch_dtype": "bfloat16",
        "rope_scaling": { "type": "mrope", "mrope_section": [16, 24, 24] },
        "vision_config": {
            "depth": 32, "num_heads": 16, "in_chans": 3, "patch_size": 14, "spatial_merge_size": 2,
            "spatial_patch_size": 14, "temporal_patch_size": 2
        }
    });
    extend(&mut config, decoder);
    extend(&mut config["vision_config"], vision);
    config
}

fn extend(object: &mut Value, more: Value) {
    let (Value::Object(object), Value::Object(more)) = (object, more) else {
        panic!("both are objects");
    };
    object.extend(more);
}

fn qwen2_5_vl(decoder: Value) -> Shape {
    let vision = json!({
        "hidden_act": "silu", "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": decoder["hidden_size"],
        "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2
    });
    shape(&published("qwen2_5_vl", decoder, vision))
}

fn shape(config: &Value) -> Shape {
    (find(config).unwrap().shape.unwrap())(config).unwrap()
}

fn three_b() -> Shape {
    qwen2_5_vl(json!({
        "hidden_size": 2048, "intermediate_size": 11008, "max_position_embeddings": 128000, "max_window_layers": 70,
        "num_attention_heads": 16, "num_hidden_layers": 36, "num_key_value_heads": 2, "tie_word_embeddings": true,
        "vocab_size": 151936
    }))
}

fn seven_b() -> Shape {
    qwen2_5_vl(json!({
        "hidden_size": 3584, "intermediate_size": 18944, "max_position_embeddings": 128000, "max_window_layers": 28,
        "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4, "tie_word_embeddings": false,
        "vocab_size": 152064
    }))
}

fn two_b() -> Shape {
    let decoder = json!({
        "hidden_size": 1536, "intermediate_size": 8960, "max_position_embeddings": 32768, "max_window_layers": 28,
        "num_attention_heads": 12, "num_hidden_layers": 28, "num_key_value_heads": 2, "tie_word_embeddings": true,
        "vocab_size": 151936
    });
    let vision = json!({ "embed_dim": 1280, "mlp_ratio": 4, "hidden_size": 1536 });
    shape(&published("qwen2_vl", decoder, vision))
}

/// The sum of the sizes of all tensors in the published files.
#[test]
fn parameters_of_published_checkpoints() {
    for (name, shape, expected) in [
        ("Qwen2.5-VL 3B", three_b(), 3_754_622_976),
        ("Qwen2.5-VL 7B", seven_b(), 8_292_166_656),
        ("Qwen2-VL 2B", two_b(), 2_208_985_600),
    ] {
        let found = shape.vision_parameters() + shape.decoder_parameters();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn memory_of_a_page_with_the_three_b_model() {
    // A page of 1092 x 784 px: 4368 patches, 1092 cells.
    let shape = three_b();
    let plan = shape.plan(&[(4368, 1092)], 2048, 2, 4);
    assert_eq!(plan.image_tokens, 1092);
    assert_eq!(plan.weights_bytes, 2 * 3_754_622_976);
    // Two heads of 128, keys and values, 36 layers, 4 bytes.
    assert_eq!(plan.cache_bytes, 2048 * 2 * 2 * 128 * 36 * 4);
    // At least the input, the state and the inside of the network; at most a few of them.
    let inside = 4368 * (1176 + 1280 + 2 * 3420) * 4;
    assert!(
        (inside..2 * inside).contains(&plan.vision_bytes),
        "{}",
        plan.vision_bytes
    );
    let passing = plan.vision_bytes.max(plan.prefill_bytes);
    assert_eq!(
        plan.total_bytes(),
        plan.weights_bytes + plan.cache_bytes + passing
    );

    let twice = shape.plan(&[(4368, 1092), (4368, 1092)], 2048, 1, 2);
    assert_eq!(twice.image_tokens, 2184);
    assert_eq!(twice.vision_bytes, 2 * plan.vision_bytes);
    assert_eq!(twice.weights_bytes, plan.weights_bytes / 2);
    assert_eq!(twice.cache_bytes, plan.cache_bytes / 2);
}
