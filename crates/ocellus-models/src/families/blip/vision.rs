//! The image tower that this family and its successor share: its config, the names of its tensors, and the encoding of pictures.

use candle_core::Tensor;
use ocellus_nn::block;
use ocellus_nn::encoder;
use ocellus_nn::position_table::Interpolation;
use ocellus_nn::tower::{self, Tower};
use ocellus_nn::{Attn, Bias, Mlp, Names, Norm, Order, Params, Segment, Taps};
use std::sync::Arc;

use super::fields::{LIBRARY, act, head_dim};
use crate::config::{ConfigError, Fields};
use crate::error::ModelError;
use crate::facts::Facts;
use crate::families::planes;
use crate::input::VisualFormat;
use crate::reference::{Given, ReferencePrompt};
use crate::vlm::Prompt;
use ocellus_media::Grid;
use ocellus_media::PixelRecipe;

/// The recipe of published checkpoints.
pub const RECIPE: PixelRecipe = planes::web(planes::square(384));

const NAMES: Names = &[
    ("patch", "embeddings.patch_embedding"),
    ("class_token", "embeddings.class_embedding"),
    ("positions", "embeddings.position_embedding"),
    ("layers", "encoder.layers"),
    ("attn.o_proj", "self_attn.projection"),
    ("attn", "self_attn"),
    ("norm1", "layer_norm1"),
    ("norm2", "layer_norm2"),
    ("norm_after", "post_layernorm"),
];

/// Specs of an image tower, read from its config.
pub struct VisionConfig {
    spec: tower::Spec,
    patch_size: usize,
}

impl VisionConfig {
    pub fn read(fields: Fields, family: &str) -> Result<Self, ConfigError> {
        let width = fields.size("hidden_size")?;
        let heads = fields.size("num_attention_heads")?;
        let patch_size = fields.size("patch_size")?;
        let channels = fields.size_or("num_channels")?.unwrap_or(3);
        let side = fields.size("image_size")? / patch_size;
        let norm = Norm::layer(fields.number("layer_norm_eps")?);
        let qkv = fields.flag_or("qkv_bias", true)?;
        let bias = Bias {
            q: qkv,
            k: qkv,
            v: qkv,
            o: true,
        };
        let dim = head_dim(&fields, "num_attention_heads", width, heads)?;
        let spec = tower::Spec {
            patch: channels * patch_size * patch_size,
            patch_bias: true,
            class_token: true,
            positions: Some((side, side)),
            interpolation: Interpolation::Bicubic,
            norm_before: None,
            encoder: encoder::Spec::new(
                fields.size("num_hidden_layers")?,
                block::Spec {
                    width,
                    attention: Attn::full(heads, dim, bias).fused(),
                    norm,
                    order: Order::NormFirst,
                    mlp: Mlp::Plain {
                        act: act(&fields, "hidden_act")?,
                        width: fields.size("intermediate_size")?,
                        bias: true,
                    },
                    memory: None,
                },
            ),
            norm_after: Some(norm),
        };
        fields.finish(family, LIBRARY)?;
        Ok(Self { spec, patch_size })
    }

    pub fn width(&self) -> usize {
        self.spec.encoder.block.width
    }

    /// Facts of a model with this tower and a text model of `positions` positions.
    pub fn load(
        &self,
        p: &Params,
        family: &'static str,
        max_positions: usize,
    ) -> Result<Pictures, ModelError> {
        self.load_as(&p.at("vision_model"), family, max_positions)
    }

    /// As [`load`](Self::load), with the tower's tensors directly under `p`.
    pub fn load_as(
        &self,
        p: &Params,
        family: &'static str,
        max_positions: usize,
    ) -> Result<Pictures, ModelError> {
        Ok(Pictures {
            facts: Facts {
                family,
                image_token: None,
                video_token: None,
                merge: 1,
                patch_size: self.patch_size,
                temporal_patch_size: 1,
                patch_features: self.spec.patch,
                tokens_per_second: None,
                frames_apart: false,
                max_positions,
            },
            tower: Tower::load(&p.named(NAMES), self.spec.clone())?,
        })
    }
}

/// The grids of prompts that have exactly one picture each.
pub fn single(prompts: &[Prompt]) -> Result<Vec<Grid>, ModelError> {
    let only = |prompt: &Prompt| match &prompt.visions[..] {
        [one] if one.video_seconds.is_none() => Ok(one.grid),
        [_] => Err(ModelError::input("the prompt", "a picture", "a video")),
        all => {
            let found = format!("{} pictures", all.len());
            Err(ModelError::input("the prompt", "one picture", found))
        }
    };
    prompts.iter().map(only).collect()
}

/// A loaded image tower.
pub struct Pictures {
    pub facts: Facts,
    tower: Tower,
}

impl Pictures {
    /// The recipe with the picture size that the tower was made for.
    pub fn format(&self, recipe: PixelRecipe) -> VisualFormat {
        let table = self.tower.spec().positions.unwrap_or((24, 24));
        planes::sized(recipe, table, self.facts.patch_size)
    }

    /// Patches of pictures → states `[tokens, width]`, the class token of each picture first.
    pub fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Tensor, ModelError> {
        let rows: usize = grids.iter().map(|g| g.t * g.h * g.w).sum();
        let wrong = grids.iter().find(|g| g.t != 1 || g.h == 0 || g.w == 0);
        if let Some(&Grid { t, h, w }) = wrong.or(grids.first().filter(|_| rows != patches.dims()[0])) {
            let patches = patches.dim(0)?;
            return Err(ModelError::Grid {
                t,
                h,
                w,
                merge: 1,
                patches,
            });
        }
        let sides: Vec<(usize, usize)> = grids.iter().map(|g| (g.h, g.w)).collect();
        Ok(self.tower.forward(patches, &sides, taps)?)
    }

    /// Number of tokens of each picture, class token included.
    pub fn tokens(&self, grids: &[Grid]) -> Vec<usize> {
        grids.iter().map(|g| self.tower.tokens((g.h, g.w))).collect()
    }

    /// The encoded pictures of prompts that have exactly one each, and the number of tokens of each.
    pub fn one_each<'t>(
        &self,
        prompts: &[Prompt],
        visual_tokens: Option<&'t Tensor>,
    ) -> Result<(&'t Tensor, Vec<usize>), ModelError> {
        let grids = single(prompts)?;
        let tokens = self.tokens(&grids);
        let (expected, found) = (visual_tokens.map_or(Ok(0), |c| c.dim(0))?, tokens.iter().sum());
        match visual_tokens.filter(|_| expected == found) {
            Some(visual_tokens) => Ok((visual_tokens, tokens)),
            None => Err(ModelError::Span {
                kind: "image",
                expected,
                found,
            }),
        }
    }

    /// Patches and grids of the reference argument `pixel_values`.
    pub fn given(&self, given: &Given) -> Result<(Tensor, Vec<Grid>), ModelError> {
        given.patches("pixel_values", self.facts.patch_size, None)
    }

    /// Encodes the reference argument `pixel_values`. Taps `patch_embeds` (class token and positions included), `vision_block_N`,
    /// `vision_out`.
    pub fn traced(&self, given: &Given, taps: &mut Taps) -> Result<(Tensor, Vec<usize>), ModelError> {
        let (patches, grids) = self.given(given)?;
        let pictures = grids.len();
        let unpack = |t: &Tensor| t.reshape((pictures, (), t.dim(1)?));
        let mut renamed = |name: &str, t: &Tensor| {
            let name = match name {
                "patch_embeds" => return,
                "vision_embeds" => "patch_embeds",
                name => name,
            };
            if let Ok(t) = unpack(t) {
                taps.tap(name, &t);
            }
        };
        let visual_tokens = self.encode(&patches, &grids, &mut Taps::new(&mut renamed))?;
        taps.tap("vision_out", &unpack(&visual_tokens)?);
        Ok((visual_tokens, self.tokens(&grids)))
    }

    /// Prompts for a reference batch: `ids[i]` with picture `i` of `pixel_values`.
    pub fn prompts(&self, given: &Given, ids: Vec<Vec<u32>>) -> Result<Vec<ReferencePrompt>, ModelError> {
        let (patches, grids) = self.given(given)?;
        if ids.len() != grids.len() {
            return Err(ModelError::input(
                "the batch",
                format!("{} pictures", ids.len()),
                grids.len(),
            ));
        }
        let mut first = 0;
        let mut asked = Vec::with_capacity(ids.len());
        for (ids, grid) in ids.into_iter().zip(grids) {
            let rows = patches.narrow(0, first, grid.h * grid.w)?;
            first += grid.h * grid.w;
            asked.push(ReferencePrompt {
                offset: 0,
                ids,
                pictures: vec![(rows, grid)],
            });
        }
        Ok(asked)
    }
}

/// Cross-attention segments: sequence `i` has `q[i]` packed query rows, which attend to the `k[i].1` key rows from row `k[i].0`
/// on.
pub fn looking(q: &[usize], k: impl IntoIterator<Item = (usize, usize)>) -> Arc<[Segment]> {
    let mut q_start = 0;
    let segment = |(&q_len, (k_start, k_len)): (&usize, (usize, usize))| {
        q_start += q_len;
        Segment {
            q_start: q_start - q_len,
            q_len,
            k_start,
            k_len,
        }
    };
    q.iter().zip(k).map(segment).collect()
}

/// First row and number of rows of each of several packed sequences.
pub fn spans(lengths: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    lengths.iter().scan(0, |next, n| {
        *next += n;
        Some((*next - n, *n))
    })
}
