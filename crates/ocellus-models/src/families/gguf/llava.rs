//! Pixtral: a Mistral decoder, stored with the architecture name `llama`, and a vision tower with rotary positions.
//!
//! Both files store the two values of a rotated pair next to each other; transformers stores them in the two halves of a head.

use super::error::GgufError;
use super::names::{EMBEDDING, HEAD, Pairs, Plan};
use super::parts::{Files, Parts};
use super::vocabulary::id;
use serde_json::json;

const TOWER: Pairs = &[
    ("ln1", "attention_norm"),
    ("ln2", "ffn_norm"),
    ("attn_q", "attention.q_proj"),
    ("attn_k", "attention.k_proj"),
    ("attn_v", "attention.v_proj"),
    ("attn_out", "attention.o_proj"),
    ("ffn_gate", "feed_forward.gate_proj"),
    ("ffn_up", "feed_forward.up_proj"),
    ("ffn_down", "feed_forward.down_proj"),
];
const REST: Pairs = &[
    ("v.patch_embd", "vision_tower.patch_conv"),
    ("v.pre_ln", "vision_tower.ln_pre"),
    ("mm.1", "multi_modal_projector.linear_1"),
    ("mm.2", "multi_modal_projector.linear_2"),
];

pub(super) fn read(files: &Files<'_>) -> Result<Parts, GgufError> {
    let (language_keys, tower_keys) = (&files.language_keys, &files.tower_keys);
    let heads = language_keys.size("llama.attention.head_count")?;
    let kv_heads = language_keys
        .size_or("llama.attention.head_count_kv")?
        .unwrap_or(heads);
    let width = language_keys.size("llama.embedding_length")?;
    let head_dim = match language_keys.size_or("llama.attention.key_length")? {
        Some(length) => length,
        None => language_keys
            .size_or("llama.rope.dimension_count")?
            .unwrap_or(width / heads.max(1)),
    };
    // Decoders that rotate only a part of a head, or scale their positions, are not supported.
    language_keys.only("llama.rope.dimension_count", head_dim)?;
    language_keys.only("llama.attention.value_length", head_dim)?;
    language_keys.only("llama.expert_count", 0)?;
    language_keys.only("llama.expert_used_count", 0)?;
    if let Some(kind) = language_keys
        .text_or("llama.rope.scaling.type")?
        .filter(|kind| *kind != "none")
    {
        return Err(language_keys.wrong("llama.rope.scaling.type", "none", kind));
    }
    tower_keys.only("clip.vision.spatial_merge_size", 1)?;
    let act = match (
        tower_keys.flag("clip.use_gelu")?,
        tower_keys.flag("clip.use_silu")?,
    ) {
        (false, true) => "silu",
        (true, false) => "gelu",
        _ => return Err(tower_keys.wrong("clip.use_*", "silu or gelu", "neither or both")),
    };
    let (image, patch) = (
        tower_keys.size("clip.vision.image_size")?,
        tower_keys.size("clip.vision.patch_size")?,
    );
    let (plan, tower_heads) = (
        Plan::new(files.tensors),
        tower_keys.size("clip.vision.attention.head_count")?,
    );
    let plan = named(
        plan,
        [heads, kv_heads, tower_heads].map(|n| usize::try_from(n).unwrap_or(0)),
    );
    let inner = plan.rows("vision_tower.transformer.layers.0.feed_forward.up_proj.weight");
    tower_keys.size("clip.vision.projection_dim")?;
    let config = json!({
        "model_type": "llava", "architectures": ["LlavaForConditionalGeneration"],
        "image_token_index": id(files, "[IMG]")?,
        "image_break_token_id": id(files, "[IMG_BREAK]")?,
        "image_end_token_id": id(files, "[IMG_END]")?,
        "projector_hidden_act": "gelu", "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
        "multimodal_projector_bias": files.tensors.contains("mm.1.bias"),
        "tie_word_embeddings": !files.tensors.contains(HEAD),
        "vision_config": {
            "model_type": "pixtral", "hidden_act": act, "image_size": image, "patch_size": patch,
            "hidden_size": tower_keys.size("clip.vision.embedding_length")?,
            "intermediate_size": inner,
            "num_hidden_layers": tower_keys.size("clip.vision.block_count")?,
            "num_attention_heads": tower_heads,
            "rope_theta": tower_keys.number_or("clip.rope.freq_base")?.unwrap_or(1e4),
        },
        "text_config": {
            "model_type": "mistral", "hidden_act": "silu", "sliding_window": null,
            "vocab_size": files.tensors.view(EMBEDDING)?.shape[0],
            "hidden_size": width,
            "intermediate_size": language_keys.size("llama.feed_forward_length")?,
            "num_hidden_layers": language_keys.size("llama.block_count")?,
            "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_dim,
            "max_position_embeddings": language_keys.size("llama.context_length")?,
            "rms_norm_eps": language_keys.number("llama.attention.layer_norm_rms_epsilon")?,
            "rope_theta": language_keys.number_or("llama.rope.freq_base")?.unwrap_or(1e4),
        },
    });
    Ok(Parts {
        config,
        preprocessor: json!({
            "size": { "longest_edge": image }, "patch_size": { "height": patch, "width": patch },
            "image_mean": tower_keys.numbers("clip.vision.image_mean")?,
            "image_std": tower_keys.numbers("clip.vision.image_std")?,
        }),
        assemblies: plan.assemblies,
        // A copy of one row of the token embedding table, for runtimes that insert it themselves.
        copies: &["v.token_embd.img_break"],
    })
}

fn named<'a>(mut plan: Plan<'a>, [heads, kv_heads, tower_heads]: [usize; 3]) -> Plan<'a> {
    let (body, tower) = ("language_model.model.", "vision_tower.transformer.layers.");
    plan.decoder(body, "language_model.lm_head");
    plan.layers("v.blk.", tower, TOWER);
    plan.alone("", "", REST);
    for layer in plan.numbers("blk.") {
        plan.unpaired(&format!("{body}layers.{layer}.self_attn.q_proj"), heads);
        plan.unpaired(&format!("{body}layers.{layer}.self_attn.k_proj"), kv_heads);
    }
    for layer in plan.numbers("v.blk.") {
        for part in ["q_proj", "k_proj"] {
            plan.unpaired(&format!("{tower}{layer}.attention.{part}"), tower_heads);
        }
    }
    plan
}
