//! The config, from either layout.

use ocellus_nn::position_table::Interpolation;
use ocellus_nn::{Act, Attn, Bias, Mlp, Norm, Order, block, encoder, tower};

use super::layout::Publication;
use crate::config::{ConfigError, Fields};
use crate::facts::Facts;
use ocellus_media::PixelRecipe;

/// The family's id.
pub(super) const ID: &str = "clip";

pub(super) struct Config {
    pub layout: Publication,
    /// How pictures are prepared where no file says more; the size is the tower's.
    pub recipe: PixelRecipe,
    pub embed: usize,
    pub end: EndOfText,
    pub text: TextConfig,
    pub vision: tower::Spec,
    /// Side of a patch, px.
    pub patch_size: usize,
}

pub(super) struct TextConfig {
    pub vocab: usize,
    pub positions: usize,
    pub encoder: encoder::Spec,
}

/// Which token's state represents a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndOfText {
    /// The first token with the highest id in the text: the publisher's rule, and the library's for configs with end token 2.
    Highest,
    /// The first token of this id.
    First(u32),
}

impl EndOfText {
    /// The index of that token; 0 where it is absent, as in the reference.
    pub fn find(self, ids: &[u32]) -> u32 {
        let wanted = match self {
            Self::Highest => ids.iter().max().copied(),
            Self::First(id) => Some(id),
        };
        let found = ids.iter().position(|id| Some(*id) == wanted);
        found.unwrap_or(0) as u32
    }
}

impl Config {
    pub fn facts(&self) -> Facts {
        Facts {
            family: ID,
            image_token: None,
            video_token: None,
            merge: 1,
            patch_size: self.patch_size,
            temporal_patch_size: 1,
            patch_features: self.vision.patch,
            tokens_per_second: None,
            frames_apart: false,
            max_positions: self.text.positions,
        }
    }
}

/// The spec of a layer of either tower; `fields` locate the number of heads in error messages.
pub(super) fn layer(
    fields: &Fields,
    (width, heads): (usize, usize),
    norm: Norm,
    (act, inner): (Act, usize),
) -> Result<block::Spec, ConfigError> {
    if heads == 0 || width % heads != 0 {
        return Err(ConfigError::Value {
            field: fields.name("heads"),
            expected: format!("a divisor of the width {width}"),
            found: heads.to_string(),
        });
    }
    Ok(block::Spec {
        width,
        attention: Attn::full(heads, width / heads, Bias::ALL),
        norm,
        order: Order::NormFirst,
        mlp: Mlp::Plain {
            act,
            width: inner,
            bias: true,
        },
        memory: None,
    })
}

/// The spec of the picture tower, and the side of its patches in px.
pub(super) fn tower(
    fields: &Fields,
    (channels, default_patch): (usize, usize),
    encoder: encoder::Spec,
) -> Result<(tower::Spec, usize), ConfigError> {
    let image = fields.sides("image_size", 224)?;
    let patch = fields.sides("patch_size", default_patch)?;
    if patch.0 != patch.1 || image.0 < patch.0 || image.1 < patch.1 {
        return Err(ConfigError::Value {
            field: fields.name("patch_size"),
            expected: format!("the side of a square inside {}x{} px", image.1, image.0),
            found: format!("{}x{}", patch.1, patch.0),
        });
    }
    let norm = Some(encoder.block.norm);
    let spec = tower::Spec {
        patch: channels * patch.0 * patch.1,
        patch_bias: false,
        class_token: true,
        positions: Some((image.0 / patch.0, image.1 / patch.1)),
        interpolation: Interpolation::Bicubic,
        norm_before: norm,
        encoder,
        norm_after: norm,
    };
    Ok((spec, patch.0))
}
