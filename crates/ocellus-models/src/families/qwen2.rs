//! Shared by Qwen2-VL and Qwen2.5-VL: the Qwen2 decoder's config in its two published layouts, the token ids, the tensor names,
//! and the order of patches.

use candle_core::{Device, Tensor};
use ocellus_nn::attention::segments;
use ocellus_nn::decoder::{Head, Positions};
use ocellus_nn::rope::{Angles, Rope, Yarn};
use ocellus_nn::{Act, Attn, Bias, Mlp, Names, Norm, Order, Params, Segment, block, decoder};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::config::{ConfigError, ConfigFile, Fields};
use crate::error::ModelError;
use crate::facts::Facts;
use crate::input::VisualFormat;
use crate::plan::{Shape, TowerShape};
use ocellus_media::{Grid, Recipe};

/// Fields of the decoder that do not change the computation here: sliding windows are refused where they would be enabled, and
/// `max_window_layers` only states from which layer on.
const HARMLESS: &[&str] = &[
    "max_window_layers",
    "sliding_window",
    "vision_start_token_id",
    "vision_end_token_id",
    "vision_token_id",
];

/// The decoder, and the facts that do not depend on the vision tower.
pub(super) struct TextConfig {
    pub decoder: decoder::Spec,
    pub image_token: u32,
    pub video_token: u32,
    pub max_positions: usize,
}

/// Reads everything outside `vision_config`, from the flat layout or the one nested under `text_config`.
///
/// `classes` are the reference's, of the whole and of its text.
pub(super) fn text(
    config: &ConfigFile,
    family: &str,
    style: Style,
    classes: [&str; 2],
) -> Result<TextConfig, ConfigError> {
    let top = config.fields()?.of(classes[0]);
    top.get("vision_config");
    let (nested, top) = match top.object("text_config")? {
        Some(nested) => (Some(nested.of(classes[1])), top),
        None => (None, top.of(classes[1])),
    };
    let (image_token, video_token) = (top.id("image_token_id")?, top.id("video_token_id")?);
    let tied_head = match &nested {
        Some(text)
            if text.own("tie_word_embeddings").is_some() && top.own("tie_word_embeddings").is_none() =>
        {
            text.flag_or("tie_word_embeddings", false)?
        }
        _ => top.flag_or("tie_word_embeddings", false)?,
    };
    let (decoder, max_positions) = {
        let fields = nested.as_ref().unwrap_or(&top);
        (
            decoder(fields, family, style, tied_head)?,
            fields.size("max_position_embeddings")?,
        )
    };
    if let Some(text) = nested {
        top.accept_copies(&text)?;
        text.accept_copies(&top)?;
        text.finish(family, HARMLESS)?;
    }
    top.finish(family, HARMLESS)?;
    Ok(TextConfig {
        decoder,
        image_token,
        video_token,
        max_positions,
    })
}

/// Differences between the decoders of the generations.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub bias: Bias,
    /// Whether queries and keys are normalised per head.
    pub head_norm: bool,
    /// Whether rotary frequencies alternate between the position axes (interleaved M-RoPE).
    pub interleaved: bool,
}

impl Style {
    pub const SECOND: Self = Self {
        bias: Bias::QKV,
        head_norm: false,
        interleaved: false,
    };
}

fn decoder(
    fields: &Fields,
    family: &str,
    style: Style,
    tied_head: bool,
) -> Result<decoder::Spec, ConfigError> {
    // Where the class has no such field, the reference's layers have their biases whatever a file says.
    if !style.bias.q {
        fields.only("attention_bias", &[json!(false)])?;
    }
    fields.only("hidden_act", &[json!("silu")])?;
    fields.only("use_sliding_window", &[json!(false)])?;
    let sliding = match fields.get("layer_types") {
        Some(Value::Array(kinds)) => kinds.iter().find(|k| **k != json!("full_attention")),
        other => other,
    };
    if let Some(kind) = sliding {
        return Err(ConfigError::Value {
            field: fields.name("layer_types"),
            expected: "full_attention in every layer".to_owned(),
            found: kind.to_string(),
        });
    }
    let (width, heads) = (fields.size("hidden_size")?, fields.size("num_attention_heads")?);
    let kv_heads = match fields.is_null("num_key_value_heads") {
        true => heads,
        false => fields.size("num_key_value_heads")?,
    };
    let head_dim = fields.size_or("head_dim")?.unwrap_or(width / heads);
    if heads % kv_heads != 0 || head_dim % 2 != 0 {
        return Err(ConfigError::Value {
            field: fields.name("num_key_value_heads"),
            expected: format!("a divisor of {heads} heads of an even size"),
            found: format!("{kv_heads} heads of size {head_dim}"),
        });
    }
    let norm = Norm::rms(fields.number("rms_norm_eps")?);
    Ok(decoder::Spec {
        vocab: fields.size("vocab_size")?,
        layers: fields.size("num_hidden_layers")?,
        block: block::Spec {
            width,
            attention: Attn {
                head_norm: style.head_norm.then_some(norm),
                ..Attn::grouped(heads, kv_heads, head_dim, style.bias)
            },
            norm,
            order: Order::NormFirst,
            mlp: Mlp::Gated {
                act: Act::Silu,
                width: fields.size("intermediate_size")?,
                bias: false,
            },
            memory: None,
        },
        positions: Positions::Rotary(rope(fields, family, style, head_dim)?),
        embedding_norm: None,
        final_norm: Some(norm),
        head: if tied_head {
            Head::Tied { scale: 1.0 }
        } else {
            Head::Own
        },
    })
}

/// Vision tower names of the first two generations.
const VISION_NAMES: Names = &[
    ("attn.o_proj", "attn.proj"),
    ("merger.norm", "merger.ln_q"),
    ("merger.fc1", "merger.mlp.0"),
    ("merger.fc2", "merger.mlp.2"),
];

/// Decoder names, which later families reuse.
pub(super) const NAMES: Names = &[
    ("norm1", "input_layernorm"),
    ("attn", "self_attn"),
    ("norm2", "post_attention_layernorm"),
];

/// The rotary settings: `rope_scaling` with `rope_theta` beside it, or `rope_parameters` with all of them inside.
fn rope(fields: &Fields, family: &str, style: Style, head_dim: usize) -> Result<Rope, ConfigError> {
    let inner = match fields.object("rope_parameters")? {
        Some(parameters) => Some(parameters),
        None => fields.object("rope_scaling")?,
    };
    fields.get("rope_scaling");
    let beside = fields.number("rope_theta")?;
    let Some(inner) = inner else {
        return Err(ConfigError::Missing {
            field: fields.name("rope_scaling.mrope_section"),
        });
    };
    let theta = inner.number_or("rope_theta", beside)?;
    let sections = inner.sizes("mrope_section")?;
    if sections.len() != 3 || sections.iter().sum::<usize>() * 2 != head_dim {
        return Err(ConfigError::Value {
            field: inner.name("mrope_section"),
            expected: format!("three sizes that add up to {}", head_dim / 2),
            found: format!("{sections:?}"),
        });
    }
    let kinds = [
        inner.text_or("rope_type", "default")?,
        inner.text_or("type", "default")?,
    ];
    let yarn = if kinds.contains(&"yarn") {
        Some(Yarn {
            factor: inner.number("factor")?,
            original_positions: inner.number("original_max_position_embeddings")?,
            beta_fast: inner.number_or("beta_fast", 32.0)?,
            beta_slow: inner.number_or("beta_slow", 1.0)?,
            attention_factor: match inner.get("attention_factor") {
                Some(_) => Some(inner.number("attention_factor")?),
                None => None,
            },
        })
    } else {
        let known = ["default", "mrope"].map(|k| json!(k));
        inner.only("rope_type", &known)?;
        inner.only("type", &known)?;
        None
    };
    inner.only("mrope_interleaved", &[json!(style.interleaved)])?;
    inner.finish(family, &[])?;
    Ok(Rope {
        yarn,
        interleaved: style.interleaved,
        ..Rope::sections(theta, &sections)
    })
}

/// Common fields of the two `vision_config` layouts.
pub(super) struct Patching {
    pub patch_size: usize,
    pub merge: usize,
    pub temporal_patch_size: usize,
    pub channels: usize,
}

impl Patching {
    /// `act` is the activation that the family's tower computes.
    pub fn read(vision: &Fields, family: &str, act: &str) -> Result<Self, ConfigError> {
        let channels = vision.size_or("in_channels")?;
        vision.only("hidden_act", &[json!(act)])?;
        if let Some(axial) = vision.object("rope_parameters")? {
            axial.only("rope_theta", &[json!(10000.0), json!(10000)])?;
            axial.only("rope_type", &[json!("axial"), json!("default")])?;
            axial.finish(family, &[])?;
        }
        let chans = vision.size_or("in_chans")?;
        Ok(Self {
            patch_size: vision.size("patch_size")?,
            merge: vision.size("spatial_merge_size")?,
            temporal_patch_size: vision.size("temporal_patch_size")?,
            // Published files carry either name; a library that writes both fills the other with its default.
            channels: chans.or(channels).unwrap_or(3),
        })
    }

    pub fn features(&self) -> usize {
        self.channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    pub fn facts(&self, family: &'static str, text: &TextConfig, tokens_per_second: Option<f32>) -> Facts {
        Facts {
            family,
            image_token: Some(text.image_token),
            video_token: Some(text.video_token),
            merge: self.merge,
            patch_size: self.patch_size,
            temporal_patch_size: self.temporal_patch_size,
            patch_features: self.features(),
            tokens_per_second,
            frames_apart: false,
            max_positions: text.max_positions,
        }
    }

    /// Fails when a grid is empty or does not divide into visual tokens, or when the grids do not add up to `patches`.
    pub fn check(&self, grids: &[Grid], patches: usize) -> Result<(), ModelError> {
        let total: usize = grids.iter().map(|g| g.t * g.h * g.w).sum();
        let odd = grids
            .iter()
            .find(|g| g.h % self.merge != 0 || g.w % self.merge != 0 || g.t * g.h * g.w == 0);
        let wrong = odd.or_else(|| grids.first().filter(|_| total != patches));
        match wrong {
            None => Ok(()),
            Some(&Grid { t, h, w }) => Err(ModelError::Grid {
                t,
                h,
                w,
                merge: self.merge,
                patches,
            }),
        }
    }
}

/// Names of the word table in the published layouts; see [`roots_with`].
pub(super) const ANCHORS: &[&str] = &[
    "model.language_model.embed_tokens.weight",
    "language_model.model.embed_tokens.weight",
    "language_model.embed_tokens.weight",
    "model.embed_tokens.weight",
];

/// Where tower, decoder and head are; see [`roots_with`].
pub(super) fn roots(p: &Params) -> (Params, Params, Params) {
    roots_with(p, VISION_NAMES)
}

/// Where tower, decoder and head are, the tower with these names: `visual`, `model` and `lm_head` as published; `model.visual` and
/// `model.language_model` as newer library versions keep them, which for a while kept the decoder at `model`; `vision_tower`,
/// `language_model.model` and `language_model.lm_head` as a converter calls them.
pub(super) fn roots_with(p: &Params, vision: Names) -> (Params, Params, Params) {
    let at = |places: &[&str], holds: &str| {
        let place = places.iter().find(|place| p.at(place).contains(holds));
        p.at(place.unwrap_or(&places[0]))
    };
    let towers = ["visual", "model.visual", "vision_tower", "model.vision_tower"];
    let decoders = [
        "model",
        "model.language_model",
        "language_model.model",
        "language_model",
    ];
    (
        at(&towers, "patch_embed.proj.weight").named(vision),
        at(&decoders, "embed_tokens.weight").named(NAMES),
        at(&["lm_head", "language_model.lm_head"], "weight"),
    )
}

/// Row and column of every patch, in patch order: frame by frame, visual tokens in raster order, and inside a visual token its
/// patches in raster order.
pub(super) fn places(grids: &[Grid], merge: usize) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    for grid in grids {
        for _ in 0..grid.t {
            for (cell_row, cell_column) in visual_tokens(grid, merge) {
                for y in 0..merge {
                    out.extend((0..merge).map(|x| (cell_row * merge + y, cell_column * merge + x)));
                }
            }
        }
    }
    out
}

fn visual_tokens(grid: &Grid, merge: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
    let (rows, columns) = (grid.h / merge, grid.w / merge);
    (0..rows).flat_map(move |r| (0..columns).map(move |c| (r, c)))
}

/// Two-dimensional rotary angles: a quarter of the head rotates by the row, a quarter by the column, and both are repeated.
pub(super) fn angles(
    places: &[(usize, usize)],
    head_dim: usize,
    device: &Device,
) -> Result<Angles, ModelError> {
    let quarter = head_dim / 4;
    let frequencies: Vec<f32> = (0..quarter)
        .map(|i| 1.0 / 10000f32.powf(2.0 * i as f32 / (head_dim / 2) as f32))
        .collect();
    let half = places.iter().flat_map(|&(row, column)| {
        [row, column]
            .into_iter()
            .flat_map(|at| frequencies.iter().map(move |f| at as f32 * f))
    });
    Ok(Angles::twice(half, places.len(), 2 * quarter, 1.0, device)?)
}

/// One attention segment per frame: no attention between frames or pictures.
pub(super) fn frames(grids: &[Grid]) -> Arc<[Segment]> {
    segments(grids.iter().flat_map(|g| std::iter::repeat_n(g.h * g.w, g.t)))
}

/// Selects rows of `x` by `index`, where an index names a visual token of `merged` rows.
pub(super) fn reorder(x: &Tensor, index: &[u32], merged: usize) -> Result<Tensor, ModelError> {
    let rows: Vec<u32> = index
        .iter()
        .flat_map(|c| (0..merged as u32).map(move |i| c * merged as u32 + i))
        .collect();
    Ok(x.index_select(&Tensor::from_slice(&rows, rows.len(), x.device())?, 0)?)
}

/// Sizes of tower and decoder, for planning.
pub(super) fn shape(text: &TextConfig, vision: TowerShape, facts: Facts) -> Shape {
    Shape {
        decoder: text.decoder.clone(),
        vision,
        facts,
        input: VisualFormat::VisualTokens(Recipe::default()),
        row_ends: 0,
    }
}
