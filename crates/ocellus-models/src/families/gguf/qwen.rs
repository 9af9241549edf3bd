//! Qwen2-VL, Qwen2.5-VL and Qwen3-VL.

use super::error::GgufError;
use super::names::{EMBEDDING, HEAD, PATCH, Pairs, Plan};
use super::parts::{Files, Parts};
use serde_json::{Map, Value, json};

/// Side of a window of the windowed tower, px.
const WINDOW_PX: u64 = 112;
/// Time steps per second of video.
const TOKENS_PER_SECOND: u64 = 2;
/// Frames per temporal patch.
const FRAMES: usize = 2;
/// Smallest and largest area of a picture in px, of the published second and third generations.
const SECOND_PIXELS: [u64; 2] = [56 * 56, 28 * 28 * 16384];
const THIRD_PIXELS: [u64; 2] = [1 << 16, 1 << 24];

const TOWER: Pairs = &[("ln1", "norm1"), ("ln2", "norm2"), ("attn_out", "attn.proj")];
const PLAIN: Pairs = &[("ffn_up", "mlp.fc1"), ("ffn_down", "mlp.fc2")];
const GATED: Pairs = &[
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];
const THIRD: Pairs = &[("ffn_up", "mlp.linear_fc1"), ("ffn_down", "mlp.linear_fc2")];
const MERGER: Pairs = &[
    ("v.post_ln", "merger.ln_q"),
    ("mm.0", "merger.mlp.0"),
    ("mm.2", "merger.mlp.2"),
];
const THIRD_MERGER: Pairs = &[
    ("v.post_ln", "merger.norm"),
    ("mm.0", "merger.linear_fc1"),
    ("mm.2", "merger.linear_fc2"),
    ("v.position_embd", "pos_embed"),
];
const DEEPSTACK: Pairs = &[("norm", "norm"), ("fc1", "linear_fc1"), ("fc2", "linear_fc2")];

pub(super) fn second(files: &Files<'_>) -> Result<Parts, GgufError> {
    let mut plan = plan(files, PLAIN, MERGER);
    let sizes = Tower::read(files, &mut plan, ("mlp.fc1", "mlp.fc2"))?;
    if !sizes.inner.is_multiple_of(sizes.width) {
        let expected = format!("a multiple of the width {}", sizes.width);
        return Err(files
            .tower_keys
            .wrong("clip.vision.feed_forward_length", expected, sizes.inner));
    }
    activation(files, "quick")?;
    let vision = json!({
        "depth": sizes.depth, "embed_dim": sizes.width, "hidden_size": sizes.out,
        "mlp_ratio": sizes.inner / sizes.width, "num_heads": sizes.heads, "hidden_act": "quick_gelu",
    });
    finish(
        files,
        plan,
        ("qwen2_vl", "Qwen2VLForConditionalGeneration"),
        sizes,
        vision,
    )
}

pub(super) fn second_and_a_half(files: &Files<'_>) -> Result<Parts, GgufError> {
    let mut plan = plan(files, GATED, MERGER);
    let sizes = Tower::read(files, &mut plan, ("mlp.up_proj", "mlp.down_proj"))?;
    activation(files, "silu")?;
    let pattern = files.tower_keys.size("clip.vision.n_wa_pattern")?;
    if pattern == 0 || pattern > sizes.depth {
        let expected = format!("1 to {}", sizes.depth);
        return Err(files
            .tower_keys
            .wrong("clip.vision.n_wa_pattern", expected, pattern));
    }
    let window = files
        .tower_keys
        .size_or("clip.vision.window_size")?
        .unwrap_or(WINDOW_PX);
    // The last layer of every group attends to the whole picture.
    let whole: Vec<u64> = (1..=sizes.depth / pattern)
        .map(|group| group * pattern - 1)
        .collect();
    let vision = json!({
        "depth": sizes.depth, "hidden_size": sizes.width, "intermediate_size": sizes.inner,
        "num_heads": sizes.heads, "out_hidden_size": sizes.out, "hidden_act": "silu", "window_size": window,
        "fullatt_block_indexes": whole, "tokens_per_second": TOKENS_PER_SECOND,
    });
    finish(
        files,
        plan,
        ("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration"),
        sizes,
        vision,
    )
}

pub(super) fn third(files: &Files<'_>) -> Result<Parts, GgufError> {
    let mut plan = plan(files, THIRD, THIRD_MERGER);
    let sizes = Tower::read(files, &mut plan, ("mlp.linear_fc1", "mlp.linear_fc2"))?;
    activation(files, "gelu")?;
    let flags = files
        .tower_keys
        .flags_or("clip.vision.is_deepstack_layers")?
        .unwrap_or_default();
    let taken: Vec<usize> = (0..)
        .zip(&flags)
        .filter(|(_, taken)| **taken)
        .map(|(at, _)| at)
        .collect();
    for (at, layer) in taken.iter().enumerate() {
        plan.alone(
            &format!("v.deepstack.{layer}."),
            &format!("visual.deepstack_merger_list.{at}."),
            DEEPSTACK,
        );
    }
    // The number of these layers is stored a second time.
    files
        .language_keys
        .only("qwen3vl.n_deepstack_layers", taken.len() as u64)?;
    let positions = plan.rows("visual.pos_embed.weight");
    let vision = json!({
        "depth": sizes.depth, "hidden_size": sizes.width, "intermediate_size": sizes.inner,
        "num_heads": sizes.heads, "out_hidden_size": sizes.out, "hidden_act": "gelu_pytorch_tanh",
        "num_position_embeddings": positions, "deepstack_visual_indexes": taken,
    });
    finish(
        files,
        plan,
        ("qwen3_vl", "Qwen3VLForConditionalGeneration"),
        sizes,
        vision,
    )
}

fn plan<'a>(files: &Files<'a>, network: Pairs, merger: Pairs) -> Plan<'a> {
    let mut plan = Plan::new(files.tensors);
    plan.decoder("model.", "lm_head");
    plan.layers("v.blk.", "visual.blocks.", TOWER);
    plan.layers("v.blk.", "visual.blocks.", network);
    plan.fused("v.blk.", "visual.blocks.");
    plan.alone("", "visual.", merger);
    plan.patch("visual.patch_embed.proj");
    plan
}

/// Checks the tower's activation, which the metadata states by flags for the alternatives.
fn activation(files: &Files<'_>, expected: &str) -> Result<(), GgufError> {
    let (gelu, silu) = (
        files.tower_keys.flag("clip.use_gelu")?,
        files.tower_keys.flag("clip.use_silu")?,
    );
    let found = match (gelu, silu) {
        (false, false) => "quick",
        (true, false) => "gelu",
        (false, true) => "silu",
        (true, true) => "gelu and silu",
    };
    match found == expected {
        true => Ok(()),
        false => Err(files.tower_keys.wrong("clip.use_*", expected, found)),
    }
}

/// Sizes of the tower.
struct Tower {
    depth: u64,
    width: u64,
    heads: u64,
    inner: u64,
    out: u64,
    channels: usize,
    patch: u64,
    merge: u64,
}

impl Tower {
    fn read(files: &Files<'_>, plan: &mut Plan<'_>, network: (&str, &str)) -> Result<Self, GgufError> {
        let tower_keys = &files.tower_keys;
        let width = tower_keys.size("clip.vision.embedding_length")?;
        let depth = tower_keys.size("clip.vision.block_count")?;
        let layers = plan.numbers("v.blk.").len() as u64;
        if layers == 0 || depth != layers {
            let expected = format!("{layers}, as many as there are layers");
            return Err(tower_keys.wrong("clip.vision.block_count", expected, depth));
        }
        plan.ordered("visual.blocks.", width, network.0, network.1)?;
        let tensor = |name: &str, reason: &str| GgufError::Tensor {
            file: tower_keys.file(),
            tensor: name.to_owned(),
            reason: reason.to_owned(),
        };
        let first = format!("visual.blocks.0.{}.weight", network.0);
        let inner = plan
            .rows(&first)
            .ok_or_else(|| tensor("v.blk.0.ffn_up.weight", "is missing"))?;
        let frames = plan
            .assemblies
            .get("visual.patch_embed.proj.weight")
            .map_or(0, |r| r.parts().len());
        if frames != FRAMES {
            return Err(tensor(
                PATCH,
                &format!("comes for {frames} frames, expected {FRAMES}"),
            ));
        }
        let kernel = files.tensors.view(PATCH)?.shape;
        let [_, channels, ..] = kernel[..] else {
            return Err(tensor(
                PATCH,
                &format!("has the shape {kernel:?}, expected four axes"),
            ));
        };
        // A default picture size; pictures keep their own size here.
        tower_keys.size_or("clip.vision.image_size")?;
        Ok(Self {
            depth,
            width,
            heads: tower_keys.size("clip.vision.attention.head_count")?,
            inner: inner as u64,
            out: tower_keys.size("clip.vision.projection_dim")?,
            channels,
            patch: tower_keys.size("clip.vision.patch_size")?,
            merge: tower_keys.size_or("clip.vision.spatial_merge_size")?.unwrap_or(2),
        })
    }
}

/// The complete config around the tower's, and the preprocessing of pictures.
fn finish(
    files: &Files<'_>,
    plan: Plan<'_>,
    (model_type, architecture): (&str, &str),
    tower: Tower,
    vision: Value,
) -> Result<Parts, GgufError> {
    let third = model_type == "qwen3_vl";
    let mut config = decoder(files, third)?;
    let mut vision = vision;
    let patching = json!({
        "patch_size": tower.patch, "spatial_merge_size": tower.merge, "temporal_patch_size": FRAMES,
        "in_channels": tower.channels,
    });
    merge(&mut vision, patching);
    merge(
        &mut config,
        json!({
            "model_type": model_type, "architectures": [architecture],
            "image_token_id": super::vocabulary::id(files, "<|image_pad|>")?,
            "video_token_id": super::vocabulary::id(files, "<|video_pad|>")?,
            "vision_config": vision,
        }),
    );
    let [least, most] = if third { THIRD_PIXELS } else { SECOND_PIXELS };
    let tower_keys = &files.tower_keys;
    Ok(Parts {
        config,
        preprocessor: json!({
            "patch_size": tower.patch, "merge_size": tower.merge, "temporal_patch_size": FRAMES,
            "min_pixels": tower_keys.size_or("clip.vision.image_min_pixels")?.unwrap_or(least),
            "max_pixels": tower_keys.size_or("clip.vision.image_max_pixels")?.unwrap_or(most),
            "image_mean": tower_keys.numbers("clip.vision.image_mean")?,
            "image_std": tower_keys.numbers("clip.vision.image_std")?,
        }),
        assemblies: plan.assemblies,
        copies: &[],
    })
}

fn decoder(files: &Files<'_>, third: bool) -> Result<Value, GgufError> {
    let language_keys = &files.language_keys;
    let name = language_keys.text(super::parts::ARCHITECTURE)?;
    let key = |key: &str| format!("{name}.{key}");
    let heads = language_keys.size(&key("attention.head_count"))?;
    let mut rope = json!({ "mrope_section": sections(files, &key("rope.dimension_sections"))? });
    if third {
        merge(&mut rope, json!({ "mrope_interleaved": true }));
    }
    match language_keys.text_or(&key("rope.scaling.type"))? {
        None | Some("none") => merge(&mut rope, json!({ "rope_type": "default" })),
        Some("yarn") => merge(
            &mut rope,
            json!({
                "rope_type": "yarn",
                "factor": language_keys.number(&key("rope.scaling.factor"))?,
                "original_max_position_embeddings": language_keys.size(&key("rope.scaling.original_context_length"))?,
            }),
        ),
        Some(other) => return Err(language_keys.wrong(&key("rope.scaling.type"), "none or yarn", other)),
    }
    let width = language_keys.size(&key("embedding_length"))?;
    let head_dim = language_keys
        .size_or(&key("attention.key_length"))?
        .unwrap_or(width / heads.max(1));
    language_keys.only(&key("attention.value_length"), head_dim)?;
    language_keys.only(&key("rope.dimension_count"), head_dim)?;
    Ok(json!({
        "vocab_size": files.tensors.view(EMBEDDING)?.shape[0],
        "hidden_size": width,
        "head_dim": head_dim,
        "intermediate_size": language_keys.size(&key("feed_forward_length"))?,
        "num_hidden_layers": language_keys.size(&key("block_count"))?,
        "num_attention_heads": heads,
        "num_key_value_heads": language_keys.size_or(&key("attention.head_count_kv"))?.unwrap_or(heads),
        "max_position_embeddings": language_keys.size(&key("context_length"))?,
        "rms_norm_eps": language_keys.number(&key("attention.layer_norm_rms_epsilon"))?,
        "rope_theta": language_keys.number_or(&key("rope.freq_base"))?.unwrap_or(1e4),
        "tie_word_embeddings": !files.tensors.contains(HEAD),
        "rope_scaling": rope,
    }))
}

/// The three M-RoPE section sizes, which files pad to four.
fn sections(files: &Files<'_>, key: &str) -> Result<Vec<i64>, GgufError> {
    let mut found = files.language_keys.integers(key)?;
    if found.len() < 3 || found[3..].iter().any(|rest| *rest != 0) {
        return Err(files
            .language_keys
            .wrong(key, "three sections", format!("{found:?}")));
    }
    found.truncate(3);
    Ok(found)
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        let from: Map<String, Value> = from;
        into.extend(from);
    }
}
