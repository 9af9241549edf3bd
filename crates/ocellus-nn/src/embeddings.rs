//! Input embeddings of BERT-like models (Devlin et al. 2019, section 3): token, position and token type embeddings, summed and
//! normalised; and their output heads.

use candle_core::Tensor;

use crate::norm::NormLayer;
use crate::ops::activation::activate;
pub use crate::rows::rows;
use crate::{Act, Linear, LoadError, Norm, Params, Result};

/// Sizes of the tables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    pub vocab: usize,
    pub width: usize,
    /// Rows of the position table; `None` = no such table.
    pub positions: Option<usize>,
    /// Rows of the token type table; `None` = no such table.
    pub types: Option<usize>,
    pub norm: Norm,
}

/// Loaded tables: tensors `word_embeddings`, `position_embeddings`, `token_type_embeddings`, `LayerNorm`.
pub struct Embeddings {
    pub words: Tensor,
    pub positions: Option<Tensor>,
    pub types: Option<Tensor>,
    pub norm: NormLayer,
}

impl Embeddings {
    pub fn load(p: &Params, spec: &Spec) -> std::result::Result<Self, LoadError> {
        let table = |name: &str, rows: usize| p.at(name).tensor("weight", &[rows, spec.width]);
        Ok(Self {
            words: table("word_embeddings", spec.vocab)?,
            positions: spec
                .positions
                .map(|n| table("position_embeddings", n))
                .transpose()?,
            types: spec
                .types
                .map(|n| table("token_type_embeddings", n))
                .transpose()?,
            norm: spec.norm.load(&p.at("LayerNorm"), spec.width)?,
        })
    }

    /// Packed `ids` at `positions` with token types `types` → `[tokens, width]`, after the norm. Types are ignored where there is
    /// no table.
    pub fn forward(&self, ids: &[u32], positions: &[u32], types: &[u32]) -> Result<Tensor> {
        self.norm.forward(&self.sum(ids, positions, types)?)
    }

    /// The same before the norm.
    pub fn sum(&self, ids: &[u32], positions: &[u32], types: &[u32]) -> Result<Tensor> {
        let mut x = rows(&self.words, ids)?;
        if let Some(table) = &self.positions {
            x = (x + rows(table, positions)?)?;
        }
        if let Some(table) = &self.types {
            x = (x + rows(table, types)?)?;
        }
        Ok(x)
    }
}

/// The transform of an MLM head: a linear layer, an activation and a norm. Tensors `dense`, `LayerNorm`.
pub struct Transform {
    dense: Linear,
    act: Act,
    norm: NormLayer,
}

impl Transform {
    pub fn load(p: &Params, width: usize, act: Act, norm: Norm) -> std::result::Result<Self, LoadError> {
        Ok(Self {
            dense: Linear::load(&p.at("dense"), width, width, true)?,
            act,
            norm: norm.load(&p.at("LayerNorm"), width)?,
        })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(&activate(&self.dense.forward(x)?, self.act)?)
    }
}

/// An MLM head: tensors `transform.*` and `bias`, tied to the token embedding table.
pub struct MaskedWords {
    transform: Transform,
    scores: Linear,
}

impl MaskedWords {
    /// `words [vocab, width]` is the token embedding table.
    pub fn load(p: &Params, words: &Tensor, act: Act, norm: Norm) -> std::result::Result<Self, LoadError> {
        let (vocab, width) = words.dims2()?;
        let bias = p.tensor("bias", &[vocab])?;
        Ok(Self {
            transform: Transform::load(&p.at("transform"), width, act, norm)?,
            scores: Linear::new(words.clone(), Some(bias), p)?,
        })
    }

    /// `x [rows, width]` → logits `[rows, vocab]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.scores.forward(&self.transform.forward(x)?)
    }
}
