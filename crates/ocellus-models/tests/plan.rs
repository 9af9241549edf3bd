//! The sizes of published checkpoints, computed from their configs alone.

use ocellus_models::families::find;
use ocellus_models::plan::{Shape, Width, Widths};
use ocellus_models::{ConfigFile, Grid};
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
    let config = ConfigFile::from(config.clone());
    (find(&config).unwrap().shape.unwrap())(&config).unwrap()
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

fn qwen3_two_b() -> Shape {
    shape(&json!({
        "model_type": "qwen3_vl", "image_token_id": 151655, "video_token_id": 151656,
        "vision_start_token_id": 151652, "vision_end_token_id": 151653, "tie_word_embeddings": true,
        "text_config": {
            "model_type": "qwen3_vl_text", "attention_bias": false, "head_dim": 128, "hidden_act": "silu", "hidden_size": 2048,
            "intermediate_size": 6144, "max_position_embeddings": 262144, "num_attention_heads": 16,
            "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-6, "rope_theta": 5000000,
            "rope_scaling": { "mrope_interleaved": true, "mrope_section": [24, 20, 20], "rope_type": "default" },
            "vocab_size": 151936
        },
        "vision_config": {
            "model_type": "qwen3_vl", "deepstack_visual_indexes": [5, 11, 17], "depth": 24,
            "hidden_act": "gelu_pytorch_tanh", "hidden_size": 1024, "in_channels": 3, "intermediate_size": 4096,
            "num_heads": 16, "num_position_embeddings": 2304, "out_hidden_size": 2048, "patch_size": 16,
            "spatial_merge_size": 2, "temporal_patch_size": 2
        }
    }))
}

/// In the publisher's layout.
fn pixtral_twelve_b() -> Shape {
    shape(&json!({
        "dim": 5120, "n_layers": 40, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32, "n_kv_heads": 8,
        "norm_eps": 1e-5, "rope_theta": 1e9, "vocab_size": 131072,
        "vision_encoder": {
            "hidden_size": 1024, "num_channels": 3, "image_size": 1024, "patch_size": 16, "rope_theta": 10000.0,
            "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "image_token_id": 10,
            "image_break_token_id": 12, "image_end_token_id": 13, "adapter_bias": true
        }
    }))
}

/// A page of 1092 x 784 px in patches of 14 px.
const PAGE: Grid = Grid { t: 1, h: 56, w: 78 };

/// The sum of the sizes of all tensors in the published files.
#[test]
fn parameters_of_published_checkpoints() {
    for (name, shape, expected) in [
        ("Qwen2.5-VL 3B", three_b(), 3_754_622_976),
        ("Qwen2.5-VL 7B", seven_b(), 8_292_166_656),
        ("Qwen2-VL 2B", two_b(), 2_208_985_600),
        ("Qwen3-VL 2B", qwen3_two_b(), 2_127_532_032),
        // The decoder's 12,247,782,400, the tower's 403,489,792 and the adapter's 31,467,520.
        ("Pixtral 12B", pixtral_twelve_b(), 12_682_739_712),
    ] {
        let found = shape.vision_parameters() + shape.decoder_parameters();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn memory_of_a_page_with_the_three_b_model() {
    let shape = three_b();
    let plan = shape.plan(&[PAGE], 2048, &Widths::all(Width::BF16), Width::F32);
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

    let twice = shape.plan(&[PAGE, PAGE], 2048, &Widths::all(Width::bits(8)), Width::BF16);
    assert_eq!(twice.image_tokens, 2184);
    assert_eq!(twice.vision_bytes, 2 * plan.vision_bytes);
    assert_eq!(twice.weights_bytes, plan.weights_bytes / 2);
    assert_eq!(twice.cache_bytes, plan.cache_bytes / 2);
}

#[test]
fn parts_may_be_held_at_widths_of_their_own() {
    let widths = |table| Widths {
        layers: Width::per_256(144),
        head: Width::bits(8),
        table,
        vision: Width::BF16,
    };
    let table = 151_936 * 2048;
    let (layers, vision) = (3_085_938_688 - table, 668_684_288);
    let shared = layers * 144 / 256 + table + 2 * vision;
    assert_eq!(three_b().weights_bytes(&widths(None)), shared);
    let kept_twice = three_b().weights_bytes(&widths(Some(Width::F32)));
    assert_eq!(kept_twice, shared + 4 * table);
    // The table of a head of its own may stay in the file too.
    let own = seven_b().weights_bytes(&Widths::all(Width::BF16));
    assert_eq!(own, 2 * (8_292_166_656 - 152_064 * 3584));
}

/// Within a half of the last digit that is written.
fn about(found: u64, expected: f64, digit: f64) {
    let error = (found as f64 - expected).abs();
    assert!(error <= digit / 2.0, "found {found}, expected {expected}");
}

#[test]
fn arithmetic_of_a_page_with_the_three_b_model() {
    let shape = three_b();
    about(shape.vision_flops(&[PAGE]), 6.03e12, 0.01e12);
    // 32 layers of 4·1280² + 3·1280·3420 and 4368 patches of 1176 values; 1092 cells through 5120² + 5120·2048.
    let products = 2 * 4368 * (32 * (4 * 1280 * 1280 + 3 * 1280 * 3420) + 1176 * 1280)
        + 2 * 1092 * (5120 * 5120 + 5120 * 2048);
    // 4 layers over the frame; 28 over windows of 8 x 8 patches, of which seven rows of ten stand in it, the last 6 wide.
    let pairs = 4 * 4368 * 4368 + 28 * 7 * (9 * 64 * 64 + 48 * 48);
    assert_eq!(shape.vision_flops(&[PAGE]), products + 4 * 1280 * pairs);
    assert_eq!(shape.vision_flops(&[PAGE, PAGE]), 2 * shape.vision_flops(&[PAGE]));

    about(shape.prefill_flops(1124) / 1124, 5.7e9, 0.1e9);
    let one = shape.prefill_flops(1);
    assert_eq!(
        one,
        2 * (36 * (2 * 2048 * 2048 + 2 * 2048 * 256 + 3 * 2048 * 11008) + 151_936 * 2048) + 4 * 2048 * 36
    );
}

#[test]
fn bytes_that_a_generated_token_reads() {
    for (width, expected) in [(Width::BF16, 6.17e9), (Width::bits(8), 3.09e9)] {
        let turn = three_b().decode_cost(1000, &Widths::all(width), Width::F32);
        about(turn.weights_bytes, expected, 0.01e9);
        assert_eq!(turn.cache_bytes, 1000 * 2 * 256 * 36 * 4);
        assert_eq!(turn.bytes(), turn.weights_bytes + turn.cache_bytes);
    }
    // The embedding table is not read where the head is a matrix of its own.
    let own = seven_b().decode_cost(0, &Widths::all(Width::bits(8)), Width::F32);
    assert_eq!(own.weights_bytes, 7_615_616_512 - 152_064 * 3584);
}

#[test]
fn towers_without_windows_see_pictures_whole() {
    // 28 x 28 patches of 16 px: 784 pairs a patch.
    let square = Grid { t: 1, h: 28, w: 28 };
    let tower = 24 * (4 * 1024 * 1024 + 3 * 1024 * 4096) + 768 * 1024 + 1024 * 5120 + 5120 * 5120;
    assert_eq!(
        pixtral_twelve_b().vision_flops(&[square]),
        2 * 784 * tower + 4 * 1024 * 24 * 784 * 784
    );
    let tower = 24 * (4 * 1024 * 1024 + 2 * 1024 * 4096) + 1536 * 1024;
    assert_eq!(
        qwen3_two_b().vision_flops(&[square]),
        2 * 784 * tower + 2 * 196 * 4 * (4096 * 4096 + 4096 * 2048) + 4 * 1024 * 24 * 784 * 784
    );
    // Frames do not see one another.
    let video = Grid { t: 3, ..square };
    let shape = two_b();
    assert_eq!(shape.vision_flops(&[video]), 3 * shape.vision_flops(&[square]));
}

#[test]
fn sizes_beyond_reason_end_at_the_end_of_the_range() {
    let mut shape = three_b();
    let most = 1 << 31;
    shape.decoder.layers = most;
    shape.decoder.block.width = most;
    shape.vision.layers = most;
    shape.vision.block.width = most;
    let plan = shape.plan(&[PAGE], u64::MAX, &Widths::all(Width::F32), Width::F32);
    assert_eq!(plan.total_bytes(), u64::MAX);
    assert_eq!(shape.prefill_flops(u64::MAX), u64::MAX);
    assert_eq!(shape.vision_flops(&[PAGE]), u64::MAX);
}
