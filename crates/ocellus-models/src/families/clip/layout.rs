//! Names of tensors in the two published layouts.

use ocellus_nn::{Linear, LoadError, Names, Params};

/// Which software wrote the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publication {
    /// transformers: `text_model.*`, `vision_model.*`, projections as linear layers.
    Library,
    /// OpenCLIP and the publisher: `transformer.resblocks.*`, `visual.*`, fused query-key-value projections, and embedding
    /// projections stored as `[in, out]` matrices.
    Open,
}

const LIBRARY_TEXT: Names = &[
    ("words", "embeddings.token_embedding"),
    ("positions", "embeddings.position_embedding.weight"),
    ("layers", "encoder.layers"),
    ("attn.o_proj", "self_attn.out_proj"),
    ("attn", "self_attn"),
    ("norm1", "layer_norm1"),
    ("norm2", "layer_norm2"),
    ("norm", "final_layer_norm"),
];

const LIBRARY_VISION: Names = &[
    ("patch", "embeddings.patch_embedding"),
    ("class_token", "embeddings.class_embedding"),
    ("positions", "embeddings.position_embedding.weight"),
    ("layers", "encoder.layers"),
    ("attn.o_proj", "self_attn.out_proj"),
    ("attn", "self_attn"),
    ("norm1", "layer_norm1"),
    ("norm2", "layer_norm2"),
    // The library's spelling, without the e of "layer".
    ("norm_before", "pre_layrnorm"),
    ("norm_after", "post_layernorm"),
];

const OPEN: Names = &[
    ("words", "token_embedding"),
    ("patch", "conv1"),
    ("class_token", "class_embedding"),
    ("positions", "positional_embedding"),
    ("layers", "transformer.resblocks"),
    ("attn.qkv.weight", "attn.in_proj_weight"),
    ("attn.qkv.bias", "attn.in_proj_bias"),
    ("attn.o_proj", "attn.out_proj"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
    ("norm1", "ln_1"),
    ("norm2", "ln_2"),
    ("norm", "ln_final"),
    ("norm_before", "ln_pre"),
    ("norm_after", "ln_post"),
];

impl Publication {
    pub fn text(self, p: &Params) -> Params {
        match self {
            Self::Library => p.at("text_model").named(LIBRARY_TEXT),
            Self::Open => p.named(OPEN),
        }
    }

    pub fn vision(self, p: &Params) -> Params {
        match self {
            Self::Library => p.at("vision_model").named(LIBRARY_VISION),
            Self::Open => p.at("visual").named(OPEN),
        }
    }

    pub fn text_projection(self, p: &Params, width: usize, embed: usize) -> Result<Linear, LoadError> {
        match self {
            Self::Library => Linear::load(&p.at("text_projection"), width, embed, false),
            Self::Open => Linear::new(p.tensor("text_projection", &[width, embed])?.t()?, None, p),
        }
    }

    pub fn vision_projection(self, p: &Params, width: usize, embed: usize) -> Result<Linear, LoadError> {
        match self {
            Self::Library => Linear::load(&p.at("visual_projection"), width, embed, false),
            Self::Open => Linear::new(p.tensor("visual.proj", &[width, embed])?.t()?, None, p),
        }
    }
}
