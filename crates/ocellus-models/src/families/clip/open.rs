//! `open_clip_config.json`, or the bare model description of OpenCLIP in it, with that library's defaults where a field is absent.

use ocellus_nn::{Act, Norm, encoder};
use serde_json::{Value, json};

use super::config::ID;
use super::config::{Config, EndOfText, TextConfig, layer, tower};
use super::layout::Publication;
use super::recipe::RECIPE;
use crate::config::{ConfigError, ConfigFile, Fields};
use ocellus_media::PixelRecipe;

/// Whether this is a config of OpenCLIP.
pub(super) fn is_open(config: &Value) -> bool {
    let model = config.get("model_cfg").unwrap_or(config);
    ["embed_dim", "vision_cfg", "text_cfg"]
        .iter()
        .all(|key| model.get(key).is_some())
}

pub(super) fn read(config: &ConfigFile) -> Result<Config, ConfigError> {
    let top = config.fields()?;
    let inner = top.object("model_cfg")?;
    let model = inner.as_ref().unwrap_or(&top);
    let part = |key: &str| {
        model.object(key)?.ok_or_else(|| ConfigError::Missing {
            field: model.name(key),
        })
    };
    let quick = model.flag_or("quick_gelu", false)?;
    let embed = model.size("embed_dim")?;
    model.only("custom_text", &[json!(false)])?;
    model.refuse(&["init_logit_bias", "multimodal_cfg"])?;

    let fields = part("text_cfg")?;
    let size = |key: &str, default: usize| Ok::<_, ConfigError>(fields.size_or(key)?.unwrap_or(default));
    let (width, heads) = (size("width", 512)?, size("heads", 8)?);
    let text = TextConfig {
        vocab: size("vocab_size", 49408)?,
        positions: size("context_length", 77)?,
        encoder: encoder::Spec::new(size("layers", 12)?, block(&fields, (width, heads), quick)?),
    };
    let end = match fields.text_or("pool_type", "argmax")? {
        "eos" if fields.get("eos_id").is_some() => EndOfText::First(fields.id("eos_id")?),
        "eos" => EndOfText::First(2),
        _ => EndOfText::Highest,
    };
    finish_text(fields)?;

    let fields = part("vision_cfg")?;
    let size = |key: &str, default: usize| Ok::<_, ConfigError>(fields.size_or(key)?.unwrap_or(default));
    let (width, layers) = (size("width", 768)?, size("layers", 12)?);
    let heads = width / size("head_width", 64)?;
    let stack = encoder::Spec::new(layers, block(&fields, (width, heads), quick)?);
    let (mut vision, patch_size) = tower(&fields, (3, 16), stack)?;
    if fields.flag_or("no_ln_pre", false)? {
        vision.norm_before = None;
    }
    finish_vision(fields)?;

    let recipe = recipe(&top)?;
    // `init_logit_scale` is where training starts; the others say how tensors are stored and returned.
    let harmless = [
        "init_logit_scale",
        "nonscalar_logit_scale",
        "cast_dtype",
        "output_dict",
    ];
    if let Some(inner) = inner {
        inner.finish(ID, &harmless)?;
    }
    top.finish(ID, &harmless)?;
    Ok(Config {
        layout: Publication::Open,
        recipe,
        embed,
        end,
        text,
        vision,
        patch_size,
    })
}

/// Pictures as torchvision prepares them, by the mean and deviation of `preprocess_cfg`.
fn recipe(top: &Fields) -> Result<PixelRecipe, ConfigError> {
    let recipe = PixelRecipe {
        crop_to_even: true,
        ..RECIPE
    };
    let Some(fields) = top.object("preprocess_cfg")? else {
        return Ok(recipe);
    };
    let levels = |key: &str, published: [f32; 3]| match fields.get(key) {
        None => Ok(published),
        Some(_) => {
            let levels: Vec<f32> = fields.numbers(key)?.into_iter().map(|v| v as f32).collect();
            <[f32; 3]>::try_from(levels).map_err(|found| ConfigError::Value {
                field: fields.name(key),
                expected: "three numbers".to_owned(),
                found: format!("{found:?}"),
            })
        }
    };
    let recipe = PixelRecipe {
        mean: levels("mean", recipe.mean)?,
        std: levels("std", recipe.std)?,
        ..recipe
    };
    fields.only("interpolation", &[json!("bicubic")])?;
    fields.only("resize_mode", &[json!("shortest")])?;
    fields.only("mode", &[json!("RGB")])?;
    fields.finish(ID, &["fill_color", "size"])?;
    Ok(recipe)
}

/// The spec of a layer of either tower.
fn block(fields: &Fields, size: (usize, usize), quick: bool) -> Result<ocellus_nn::block::Spec, ConfigError> {
    let ratio = fields.number_or("mlp_ratio", 4.0)?;
    let inner = (size.0 as f64 * ratio) as usize;
    if inner == 0 || inner > 1 << 31 {
        return Err(ConfigError::Value {
            field: fields.name("mlp_ratio"),
            expected: "a factor that leaves a width".to_owned(),
            found: ratio.to_string(),
        });
    }
    let act = match fields.object("act_kwargs")? {
        // OpenCLIP's quick GELU takes no options.
        Some(options) if !quick => {
            options.only("approximate", &[json!("none"), json!("tanh")])?;
            let tanh = options.text_or("approximate", "none")? == "tanh";
            options.finish(ID, &[])?;
            if tanh { Act::GeluTanh } else { Act::Gelu }
        }
        Some(options) => {
            options.finish(ID, &[])?;
            Act::QuickGelu
        }
        None if quick => Act::QuickGelu,
        None => Act::Gelu,
    };
    let eps = match fields.object("norm_kwargs")? {
        Some(options) => {
            let eps = options.number_or("eps", 1e-5)?;
            options.only("bias", &[json!(true)])?;
            options.only("elementwise_affine", &[json!(true)])?;
            options.finish(ID, &[])?;
            eps
        }
        None => 1e-5,
    };
    for key in [
        "qk_norm",
        "scaled_cosine_attn",
        "scale_heads",
        "scale_attn_inner",
        "scale_attn",
        "scale_fc",
    ] {
        fields.only(key, &[json!(false)])?;
    }
    fields.only("block_type", &[json!("default")])?;
    fields.refuse(&["ls_init_value"])?;
    let mut block = layer(fields, size, Norm::layer(eps), (act, inner))?;
    block.attention = block.attention.fused();
    Ok(block)
}

fn finish_text(fields: Fields) -> Result<(), ConfigError> {
    fields.only("pool_type", &[json!("argmax"), json!("eos")])?;
    fields.only("proj_type", &[json!("linear")])?;
    fields.refuse(&["hf_model_name"])?;
    for key in ["embed_cls", "no_causal_mask", "proj_bias"] {
        fields.only(key, &[json!(false)])?;
    }
    let harmless = [
        // Fields about the tokenizer.
        "hf_tokenizer_name",
        "tokenizer_mode",
        "tokenizer_kwargs",
        "pad_id",
        "eos_id",
        // Options of parts that are absent here: a text tower of another library, a class token.
        "hf_model_pretrained",
        "hf_proj_type",
        "hf_pooler_type",
        // A norm acts on each token alone, so it gives the same before and after one token is selected.
        "final_ln_after_pool",
        "output_tokens",
    ];
    fields.finish(ID, &harmless)
}

fn finish_vision(fields: Fields) -> Result<(), ConfigError> {
    fields.only("pool_type", &[json!("tok")])?;
    fields.only("pos_embed_type", &[json!("learnable")])?;
    fields.only("attentional_pool", &[json!(false)])?;
    fields.refuse(&["global_average_pool", "input_patchnorm", "timm_model_name"])?;
    let harmless = [
        // Patches are dropped in training only.
        "patch_dropout",
        // Options of parts that are absent here: an attention pooler, a picture tower of another library.
        "attn_pooler_queries",
        "attn_pooler_heads",
        "timm_model_pretrained",
        "timm_pool",
        "timm_proj",
        "timm_proj_bias",
        "timm_drop",
        "timm_drop_path",
        // A norm acts on each token alone, so it gives the same before and after one token is selected.
        "final_ln_after_pool",
        "output_tokens",
    ];
    fields.finish(ID, &harmless)
}
