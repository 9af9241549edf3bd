//! The config, independent of the layout that it was read from.

use ocellus_nn::attention::Projections;
use ocellus_nn::decoder::{Head, Positions};
use ocellus_nn::position_table::Interpolation;
use ocellus_nn::rope::Rope;
use ocellus_nn::{Act, Attn, Bias, Mlp, Norm, Order, block, decoder, encoder, tower};

use super::names::Publication;
use super::recipes::visual_format;
use crate::config::{ConfigError, Fields};
use crate::facts::Facts;
use crate::plan::{Behind, Shape, TowerShape};

/// The family's id.
pub const ID: &str = "pixtral";

/// A parsed config.
pub struct Config {
    pub layout: Publication,
    pub vision_config: VisionConfig,
    pub text_config: TextConfig,
    pub adapter_bias: bool,
    pub special_tokens: SpecialTokens,
}

/// Sizes of the vision tower.
pub struct VisionConfig {
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    pub inner: usize,
    pub act: Act,
    pub channels: usize,
    pub patch_size: usize,
    pub image_size: usize,
    pub theta: f64,
}

/// Sizes of the decoder.
pub struct TextConfig {
    pub vocab: usize,
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub inner: usize,
    pub eps: f64,
    pub theta: f64,
    pub tied: bool,
    pub max_positions: usize,
}

/// Ids that stand for a picture in a prompt: one per patch, and one after each row.
pub struct SpecialTokens {
    pub image: u32,
    pub row_end: u32,
    /// Follows the last row instead of the row end token.
    pub picture_end: u32,
}

impl SpecialTokens {
    /// Row end tokens have the published vocabulary's ids unless the config states others.
    pub fn read(image: u32, fields: &Fields) -> Result<Self, ConfigError> {
        let id = |key: &str, published: u32| match fields.get(key) {
            Some(_) => fields.id(key),
            None => Ok(published),
        };
        Ok(Self {
            image,
            row_end: id("image_break_token_id", 12)?,
            picture_end: id("image_end_token_id", 13)?,
        })
    }
}

impl VisionConfig {
    /// Patches along the longest side of a picture.
    pub fn longest(&self) -> usize {
        self.image_size / self.patch_size
    }
}

impl Config {
    pub fn tower(&self) -> tower::Spec {
        let vision_config = &self.vision_config;
        let norm = Norm::rms(1e-5);
        let attention = Attn::full(
            vision_config.heads,
            vision_config.width / vision_config.heads,
            Bias::NONE,
        );
        let block = self.block(
            vision_config.width,
            attention,
            norm,
            (vision_config.act, vision_config.inner),
        );
        tower::Spec {
            patch: self.patch_features(),
            patch_bias: false,
            class_token: false,
            positions: None,
            interpolation: Interpolation::Bicubic,
            norm_before: Some(norm),
            encoder: encoder::Spec::new(vision_config.layers, block),
            norm_after: None,
        }
    }

    pub fn decoder(&self) -> decoder::Spec {
        let text_config = &self.text_config;
        let norm = Norm::rms(text_config.eps);
        let attention = Attn::grouped(
            text_config.heads,
            text_config.kv_heads,
            text_config.head_dim,
            Bias::NONE,
        );
        decoder::Spec {
            vocab: text_config.vocab,
            layers: text_config.layers,
            block: self.block(text_config.width, attention, norm, (Act::Silu, text_config.inner)),
            positions: Positions::Rotary(Rope::plain(text_config.theta, text_config.head_dim)),
            embedding_norm: None,
            final_norm: Some(norm),
            head: match text_config.tied {
                true => Head::Tied { scale: 1.0 },
                false => Head::Own,
            },
        }
    }

    fn block(&self, width: usize, attention: Attn, norm: Norm, (act, inner): (Act, usize)) -> block::Spec {
        block::Spec {
            width,
            attention: Attn {
                projections: match self.layout {
                    Publication::Library => Projections::Separate,
                    Publication::Publisher => Projections::AdjacentPairs,
                },
                ..attention
            },
            norm,
            order: Order::NormFirst,
            mlp: Mlp::Gated {
                act,
                width: inner,
                bias: false,
            },
            memory: None,
        }
    }

    /// The sizes of both towers and of the adapter between them.
    pub fn shape(&self) -> Shape {
        let outer = self.text_config.width;
        let behind = [self.vision_config.width, outer].map(|inputs| Behind {
            patches: 1,
            inputs,
            outputs: outer,
            bias: self.adapter_bias,
        });
        Shape {
            decoder: self.decoder(),
            vision: TowerShape {
                behind: behind.to_vec(),
                ..TowerShape::tower(&self.tower())
            },
            facts: self.facts(),
            input: visual_format(
                self.layout,
                self.vision_config.longest(),
                self.vision_config.patch_size,
            ),
            row_ends: 1,
        }
    }

    pub fn facts(&self) -> Facts {
        Facts {
            family: ID,
            image_token: Some(self.special_tokens.image),
            video_token: None,
            merge: 1,
            patch_size: self.vision_config.patch_size,
            temporal_patch_size: 1,
            patch_features: self.patch_features(),
            tokens_per_second: None,
            frames_apart: false,
            max_positions: self.text_config.max_positions,
        }
    }

    fn patch_features(&self) -> usize {
        self.vision_config.channels * self.vision_config.patch_size * self.vision_config.patch_size
    }

    /// Fails on sizes that no model can have.
    pub fn check(self, vision: &Fields, text: &Fields) -> Result<Self, ConfigError> {
        let (vision_config, text_config) = (&self.vision_config, &self.text_config);
        if vision_config.width % vision_config.heads != 0
            || (vision_config.width / vision_config.heads) % 4 != 0
        {
            return Err(ConfigError::Value {
                field: vision.name("num_attention_heads"),
                expected: "heads whose size is a multiple of 4".to_owned(),
                found: format!(
                    "{} heads in a width of {}",
                    vision_config.heads, vision_config.width
                ),
            });
        }
        let odd = text_config.head_dim == 0 || text_config.head_dim % 2 != 0;
        if odd || text_config.heads % text_config.kv_heads != 0 {
            let TextConfig {
                heads,
                kv_heads,
                head_dim,
                ..
            } = text_config;
            return Err(ConfigError::Value {
                field: text.name("head_dim"),
                expected: "an even size of heads, as many of queries for each of keys".to_owned(),
                found: format!("size {head_dim}, {heads} heads of queries, {kv_heads} of keys"),
            });
        }
        Ok(self)
    }
}
