//! A causal decoder: layers over packed sequences, several kinds of positions, an output head that may be tied, a KV cache, and
//! optional cross-attention to a memory.

use candle_core::{DType, Device, Tensor};
use ocellus_kernels::quant::Format;
use std::sync::Arc;

use crate::attention::{Attention, Batch, Cached, Mask};
use crate::block::{self, Attend, Block};
use crate::cache::{KvCache, KvLayout, KvStorage};
use crate::cross::{CrossGroup, CrossMemory};
use crate::embeddings::{MaskedWords, rows};
use crate::norm::NormLayer;
use crate::relative::{Buckets, RelativeScores};
use crate::rope::Rope;
use crate::rows::Table;
use crate::{Act, Linear, LoadError, Norm, Params, Precision, Result, Segment, Taps};

/// Sizes and options of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub vocab: usize,
    pub layers: usize,
    pub block: block::Spec,
    pub positions: Positions,
    /// A norm over the sum of token embedding and position embedding.
    pub embedding_norm: Option<Norm>,
    /// A norm after the last layer.
    pub final_norm: Option<Norm>,
    pub head: Head,
}

/// How positions enter a decoder.
#[derive(Clone, Debug, PartialEq)]
pub enum Positions {
    /// Rotary: queries and keys are rotated.
    Rotary(Rope),
    /// Learned: a table `positions`, whose row `position + offset` is added to the embedding.
    Learned { rows: usize, offset: usize },
    /// Relative: a bias per bucket of distance, in a table `relative` that all layers share.
    Relative(Buckets),
}

/// The output head, which computes the logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Head {
    /// The embedding table; hidden states are multiplied by `scale` first.
    Tied { scale: f64 },
    /// A separate matrix without a bias.
    Own,
    /// An MLM head: a transform, then the embedding table, then a bias.
    Transformed { act: Act, norm: Norm },
}

enum Scores {
    Linear { matrix: Linear, scale: f64 },
    Transformed(MaskedWords),
}

/// A loaded decoder.
pub struct Decoder {
    spec: Spec,
    embedding: Table,
    positions: Option<Tensor>,
    relative: Option<RelativeScores>,
    embedding_norm: Option<NormLayer>,
    layers: Vec<Block>,
    norm: Option<NormLayer>,
    head: Scores,
    precision: Precision,
}

impl Decoder {
    /// Loads `embed_tokens`, `positions` or `relative`, `embedding_norm`, `layers.N.*` and `norm` under `p`, and the output head
    /// under `head`.
    pub fn load(p: &Params, head: &Params, spec: Spec) -> std::result::Result<Self, LoadError> {
        let width = spec.block.width;
        let place = p.at("embed_tokens");
        // Where config and file disagree on whether the head is tied, the file is right.
        let own_head = head.contains("weight");
        let embedding = match spec.head {
            Head::Transformed { .. } => Table::Tensor(place.tensor("weight", &[spec.vocab, width])?),
            Head::Tied { .. } | Head::Own => place.table("weight", [spec.vocab, width])?,
        };
        // Logits show every rounding error of the head directly, so it keeps at least 6 bits.
        let head = &head.at_least(Format::Q6);
        let layers = (0..spec.layers)
            .map(|i| Block::load(&p.at("layers").at(i), &spec.block))
            .collect::<std::result::Result<_, LoadError>>()?;
        let norm = |norm: Option<Norm>, name: &str| norm.map(|n| n.load(&p.at(name), width)).transpose();
        let (positions, relative) = match &spec.positions {
            Positions::Rotary(_) => (None, None),
            Positions::Learned { rows, offset } => {
                let table = p.at("positions").tensor("weight", &[rows + offset, width])?;
                (Some(table), None)
            }
            Positions::Relative(buckets) => (None, Some(RelativeScores::load(&p.at("relative"), *buckets)?)),
        };
        let head = match spec.head {
            Head::Tied { scale } if own_head => Scores::Linear {
                matrix: Linear::load(head, width, spec.vocab, false)?,
                scale,
            },
            Head::Tied { scale } => Scores::Linear {
                matrix: Linear::tied(&embedding, spec.vocab, width, head)?,
                scale,
            },
            Head::Own if !own_head && place.contains("weight") => Scores::Linear {
                matrix: Linear::tied(&embedding, spec.vocab, width, head)?,
                scale: 1.0,
            },
            Head::Own => Scores::Linear {
                matrix: Linear::load(head, width, spec.vocab, false)?,
                scale: 1.0,
            },
            Head::Transformed { act, norm } => {
                let Table::Tensor(words) = &embedding else {
                    unreachable!("taken as a tensor above");
                };
                Scores::Transformed(MaskedWords::load(head, words, act, norm)?)
            }
        };
        Ok(Self {
            embedding,
            positions,
            relative,
            embedding_norm: norm(spec.embedding_norm, "embedding_norm")?,
            layers,
            norm: norm(spec.final_norm, "norm")?,
            head,
            precision: p.precision(),
            spec,
        })
    }

    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    pub fn dtype(&self) -> DType {
        self.embedding.dtype()
    }

    pub fn device(&self) -> &Device {
        self.embedding.device()
    }

    /// The KV cache that a token needs.
    pub fn kv_layout(&self) -> KvLayout {
        let attention = self.spec.block.attention;
        // The kernels' attention over blocks takes no bias, so relative positions use tensors.
        let kernels = self.relative.is_none() && self.device().is_cpu() && self.dtype() == DType::F32;
        KvLayout {
            layers: self.spec.layers,
            kv_heads: attention.kv_heads,
            head_dim: attention.head_dim,
            storage: match kernels {
                true => KvStorage::Blocks(self.precision),
                false => KvStorage::Tensors(self.dtype(), self.device().clone()),
            },
        }
    }

    /// Rows of the embedding table, `[ids, width]`.
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        self.embedding.rows(ids)
    }

    /// Projects rows `[rows, width]` to a cross-attention memory; `lengths[i]` of them belong to sequence `i`.
    pub fn cross_memory(&self, states: &Tensor, lengths: &[usize]) -> Result<CrossMemory> {
        let layers = self
            .layers
            .iter()
            .map(|layer| layer.cross_keys_and_values(states))
            .collect::<Result<_>>()?;
        Ok(CrossMemory::new(layers, lengths))
    }

    /// `x [tokens, width]` at `positions` → hidden states after the last norm, `[tokens, width]`. Taps `hidden_N`, `hidden_last`.
    pub fn forward(
        &self,
        x: &Tensor,
        positions: &[[i64; 3]],
        batch: &Batch,
        cache: Option<&KvCache>,
        taps: &mut Taps,
    ) -> Result<Tensor> {
        self.forward_adding(x, &[], positions, batch, cache, taps)
    }

    /// The same, with `added[i] [tokens, width]` added to the output of layer `i` (DeepStack).
    pub fn forward_adding(
        &self,
        x: &Tensor,
        added: &[Tensor],
        positions: &[[i64; 3]],
        batch: &Batch,
        cache: Option<&KvCache>,
        taps: &mut Taps,
    ) -> Result<Tensor> {
        let segments = batch.segments();
        self.run(x, added, positions, (batch, &segments), cache, taps)
    }

    /// As [`forward`](Self::forward) without a KV cache, for attention other than causal self-attention over whole sequences:
    /// `segments` are causal attention segments, `batch` assigns rows to their cross-attention memory.
    pub fn forward_seeing(
        &self,
        x: &Tensor,
        segments: &Arc<[Segment]>,
        positions: &[[i64; 3]],
        batch: &Batch,
        taps: &mut Taps,
    ) -> Result<Tensor> {
        self.run(x, &[], positions, (batch, segments), None, taps)
    }

    fn run(
        &self,
        x: &Tensor,
        added: &[Tensor],
        positions: &[[i64; 3]],
        (batch, segments): (&Batch, &Arc<[Segment]>),
        cache: Option<&KvCache>,
        taps: &mut Taps,
    ) -> Result<Tensor> {
        let dim = self.spec.block.attention.head_dim;
        let angles = match &self.spec.positions {
            Positions::Rotary(rope) => Some(rope.angles(positions, dim, self.device())?),
            _ => None,
        };
        let scores = self.relative.as_ref().map(|r| |s: &_| r.scores(s));
        let mut mask = Mask::causal(segments);
        if let Some(scores) = &scores {
            mask.bias = Some(scores);
        }
        let cached = cache
            .map(|cache| Cached::new(cache, batch, self.device()))
            .transpose()?;
        let groups = CrossGroup::of(&batch.lengths, &batch.cross);
        let mut x = self.placed(x, positions)?;
        for (i, layer) in self.layers.iter().enumerate() {
            let cross = |attention: &Attention, x: &Tensor| across(attention, x, &groups, i);
            let cross: &Attend = &cross;
            x = layer.forward(
                &x,
                |attention, x| attention.cached(x, &mask, angles.as_ref(), cached.as_ref(), i, taps),
                (!groups.is_empty()).then_some(cross),
            )?;
            if let Some(more) = added.get(i) {
                x = (x + more)?;
            }
            taps.tap_layer("hidden", i, &x);
        }
        if let Some(norm) = &self.norm {
            x = norm.forward(&x)?;
        }
        taps.tap("hidden_last", &x);
        Ok(x)
    }

    /// Adds position embeddings, and applies the embedding norm where the decoder has one.
    fn placed(&self, x: &Tensor, positions: &[[i64; 3]]) -> Result<Tensor> {
        let mut x = x.clone();
        if let (Some(table), Positions::Learned { offset, rows: most }) =
            (&self.positions, &self.spec.positions)
        {
            let place = |p: &[i64; 3]| (p[0].clamp(0, *most as i64 - 1) as usize + offset) as u32;
            let index: Vec<u32> = positions.iter().map(place).collect();
            x = (x + rows(table, &index)?)?;
        }
        match &self.embedding_norm {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }

    /// `hidden [rows, width]` → logits `[rows, vocab]`.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        match &self.head {
            Scores::Linear { matrix, scale } if *scale == 1.0 => matrix.forward(hidden),
            Scores::Linear { matrix, scale } => matrix.forward(&(hidden * *scale)?),
            Scores::Transformed(head) => head.forward(hidden),
        }
    }
}

/// Cross-attention of one layer. Each group of sequences attends to its own memory; since rows are independent, computing groups
/// separately gives the same bits.
fn across(attention: &Attention, x: &Tensor, groups: &[CrossGroup], layer: usize) -> Result<Tensor> {
    let one = |x: &Tensor, group: &CrossGroup| {
        let Some((k, v)) = group.layer(layer) else {
            candle_core::bail!("layer {layer} has no keys and values to attend to across");
        };
        attention.across(x, (k, v), &Mask::whole(&group.segments))
    };
    if let [group] = groups {
        return one(x, group);
    }
    let part = |group: &CrossGroup| one(&x.narrow(0, group.q_start, group.q_len)?.contiguous()?, group);
    Tensor::cat(&groups.iter().map(part).collect::<Result<Vec<_>>>()?, 0)
}
