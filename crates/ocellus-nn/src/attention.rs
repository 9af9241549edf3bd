//! Attention as all models here use it: self-attention and cross-attention, grouped heads, fused or separate projections, norms
//! of heads, rotary positions, additive biases, a KV cache.

use candle_core::{Device, Tensor};
use std::sync::Arc;

use crate::cache::{BlockTable, KvCache, Layer};
use crate::cross::{CrossMemory, CrossSpan};
use crate::norm::NormLayer;
use crate::ops::attention::{attention, attention_blocks, biased};
use crate::ops::rope::rotate;
use crate::rope::Angles;
use crate::{Linear, LoadError, Norm, Params, Precision, Result, Segment, Taps};

/// Heads and projections of an attention layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attn {
    pub heads: usize,
    /// Key-value heads; divides `heads`.
    pub kv_heads: usize,
    pub head_dim: usize,
    pub bias: Bias,
    pub projections: Projections,
    /// A norm over each head of queries (`q_norm`) and keys (`k_norm`), before rotary positions.
    pub head_norm: Option<Norm>,
    /// Factor of the attention scores; `None` = `1 / sqrt(head_dim)`.
    pub scale: Option<f32>,
}

impl Attn {
    /// Multi-head attention: as many key-value heads as query heads, separate projections.
    pub const fn full(heads: usize, head_dim: usize, bias: Bias) -> Self {
        Self::grouped(heads, heads, head_dim, bias)
    }

    /// Grouped-query attention: fewer key-value heads than query heads, separate projections.
    pub const fn grouped(heads: usize, kv_heads: usize, head_dim: usize, bias: Bias) -> Self {
        Self {
            heads,
            kv_heads,
            head_dim,
            bias,
            projections: Projections::Separate,
            head_norm: None,
            scale: None,
        }
    }

    /// The same spec with separate projections, as cross-attention stores them.
    pub const fn unfused(self) -> Self {
        Self {
            projections: Projections::Separate,
            ..self
        }
    }

    /// The same spec with one matrix `qkv` for queries, keys and values.
    pub const fn fused(self) -> Self {
        Self {
            projections: Projections::Fused,
            ..self
        }
    }
}

/// Which projections have a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bias {
    pub q: bool,
    pub k: bool,
    pub v: bool,
    pub o: bool,
}

impl Bias {
    pub const NONE: Self = Self::of(false, false, false, false);
    pub const ALL: Self = Self::of(true, true, true, true);
    /// All but the output projection.
    pub const QKV: Self = Self::of(true, true, true, false);
    /// All but the key projection, whose bias does not change the softmax.
    pub const QVO: Self = Self::of(true, false, true, true);

    const fn of(q: bool, k: bool, v: bool, o: bool) -> Self {
        Self { q, k, v, o }
    }
}

/// How a checkpoint stores the query, key and value projections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projections {
    /// `q_proj`, `k_proj`, `v_proj`.
    Separate,
    /// As separate, but the two coordinates of a rotation are adjacent in a head instead of half a head apart; rows of queries
    /// and keys are reordered when loaded.
    AdjacentPairs,
    /// `qkv`: all queries, all keys, all values. A bias of queries and values only is `q_bias` and `v_bias`.
    Fused,
    /// `qkv`: queries, keys and values of the first head, then of the second, and so on.
    FusedByHead,
    /// As `Fused`, but split when loaded: for cross-attention, where queries and keys are projected from different rows.
    Stacked,
}

/// The packed sequences of one call.
#[derive(Clone, Default)]
pub struct Batch {
    /// Tokens of each sequence in this call.
    pub lengths: Vec<usize>,
    /// The block table of each sequence, with the number of tokens it held before this call; empty without a KV cache.
    pub tables: Vec<BlockTable>,
    /// The cross-attention memory of each sequence; empty without cross-attention.
    pub cross: Vec<CrossSpan>,
}

impl Batch {
    /// Sequences of these lengths, without a KV cache.
    pub fn of(lengths: Vec<usize>) -> Self {
        Self {
            lengths,
            ..Self::default()
        }
    }

    /// The same sequences with a cross-attention memory.
    pub fn across(self, memory: Option<Arc<CrossMemory>>) -> Self {
        Self {
            cross: memory.map(CrossMemory::spans).unwrap_or_default(),
            ..self
        }
    }

    /// The attention segments of the sequences; the keys of a sequence are its cached tokens followed by its rows of this call.
    pub(crate) fn segments(&self) -> Arc<[Segment]> {
        let (mut q_start, mut k_start) = (0, 0);
        let segment = |(i, &q_len): (usize, &usize)| {
            let before = self.tables.get(i).map_or(0, |table| table.len);
            let segment = Segment {
                q_start,
                q_len,
                k_start,
                k_len: before + q_len,
            };
            q_start += q_len;
            k_start += segment.k_len;
            segment
        };
        self.lengths.iter().enumerate().map(segment).collect()
    }
}

/// Sequences with the KV cache that holds their earlier tokens.
pub(crate) struct Cached<'a> {
    pub cache: &'a KvCache,
    pub batch: &'a Batch,
    /// Row indices of the cached keys of all sequences in the layer's tensors; `None` where kernels read blocks directly.
    rows: Option<Tensor>,
}

impl<'a> Cached<'a> {
    pub fn new(cache: &'a KvCache, batch: &'a Batch, device: &Device) -> Result<Self> {
        let tensors = (0..cache.layers()).any(|i| matches!(cache.layer(i), Layer::Tensors(..)));
        let rows = || {
            let sequences = batch.tables.iter().zip(&batch.lengths);
            let rows: Vec<u32> = sequences
                .flat_map(|(table, n)| table.rows(table.len + n))
                .collect();
            let count = rows.len();
            Tensor::from_vec(rows, count, device)
        };
        Ok(Self {
            cache,
            batch,
            rows: tensors.then(rows).transpose()?,
        })
    }
}

/// Self-attention segments of sequences with these lengths.
pub fn segments(lengths: impl IntoIterator<Item = usize>) -> Arc<[Segment]> {
    Batch::of(lengths.into_iter().collect()).segments()
}

/// A bias that is added to the scores of a segment, `[heads, q_len, k_len]`.
pub type ScoreBias<'a> = dyn Fn(&Segment) -> Result<Tensor> + 'a;

/// Which rows attend to which.
#[derive(Clone, Copy)]
pub struct Mask<'a> {
    pub segments: &'a Arc<[Segment]>,
    pub causal: bool,
    pub bias: Option<&'a ScoreBias<'a>>,
}

impl<'a> Mask<'a> {
    /// Bidirectional: every row of a segment attends to all rows of it.
    pub fn whole(segments: &'a Arc<[Segment]>) -> Self {
        Self {
            segments,
            causal: false,
            bias: None,
        }
    }

    /// Causal: a row attends to itself and earlier rows of its segment.
    pub fn causal(segments: &'a Arc<[Segment]>) -> Self {
        Self {
            causal: true,
            ..Self::whole(segments)
        }
    }
}

enum Inputs {
    Separate { q: Linear, k: Linear, v: Linear },
    Fused { qkv: Linear, by_head: bool },
}

/// A loaded attention: tensors `q_proj`, `k_proj`, `v_proj` or `qkv`, and `o_proj`.
pub struct Attention {
    spec: Attn,
    inputs: Inputs,
    norms: Option<(NormLayer, NormLayer)>,
    o: Linear,
    precision: Precision,
}

impl Attention {
    /// Loads attention for tokens of `width`, whose keys and values are projected from rows of `kv_width`.
    pub fn load(
        p: &Params,
        spec: Attn,
        width: usize,
        kv_width: usize,
    ) -> std::result::Result<Self, LoadError> {
        let (inner, kv) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        let inputs = match spec.projections {
            Projections::Separate => Inputs::Separate {
                q: Linear::load(&p.at("q_proj"), width, inner, spec.bias.q)?,
                k: Linear::load(&p.at("k_proj"), kv_width, kv, spec.bias.k)?,
                v: Linear::load(&p.at("v_proj"), kv_width, kv, spec.bias.v)?,
            },
            Projections::AdjacentPairs => {
                let paired = |name: &str, inputs: usize, outputs: usize| {
                    let weight = p.at(name).tensor("weight", &[outputs, inputs])?;
                    Linear::new(apart(&weight, spec.head_dim)?, None, &p.at(name))
                };
                Inputs::Separate {
                    q: paired("q_proj", width, inner)?,
                    k: paired("k_proj", kv_width, kv)?,
                    v: Linear::load(&p.at("v_proj"), kv_width, kv, spec.bias.v)?,
                }
            }
            Projections::Stacked => {
                let all = p.at("qkv");
                let weight = all.tensor("weight", &[inner + 2 * kv, width])?;
                let bias = spec.bias.q.then(|| all.tensor("bias", &[inner + 2 * kv]));
                let bias = bias.transpose()?;
                let part = |first: usize, rows: usize| {
                    let bias = bias.as_ref().map(|b| b.narrow(0, first, rows)).transpose()?;
                    Linear::new(weight.narrow(0, first, rows)?, bias, &all)
                };
                Inputs::Separate {
                    q: part(0, inner)?,
                    k: part(inner, kv)?,
                    v: part(inner + kv, kv)?,
                }
            }
            Projections::Fused | Projections::FusedByHead => Inputs::Fused {
                qkv: fused(p, &spec, width)?,
                by_head: spec.projections == Projections::FusedByHead,
            },
        };
        let norms = spec.head_norm.map(|norm| {
            let load = |name| norm.load(&p.at(name), spec.head_dim);
            Ok::<_, LoadError>((load("q_norm")?, load("k_norm")?))
        });
        Ok(Self {
            spec,
            inputs,
            norms: norms.transpose()?,
            o: Linear::load(&p.at("o_proj"), inner, width, spec.bias.o)?,
            precision: match p.trainable() {
                true => Precision::F32,
                false => p.precision(),
            },
        })
    }

    fn scale(&self) -> f32 {
        self.spec
            .scale
            .unwrap_or(1.0 / (self.spec.head_dim as f32).sqrt())
    }

    /// Queries, keys and values of `x`, `[tokens, heads, head_dim]` each.
    fn project(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let (n, heads, dim) = (x.dim(0)?, self.spec.heads, self.spec.head_dim);
        match &self.inputs {
            Inputs::Separate { .. } => {
                let (k, v) = self.keys_and_values(x)?;
                Ok((self.queries(x)?, k, v))
            }
            Inputs::Fused { qkv, by_head } => {
                let (shape, axis) = if *by_head {
                    ((n, heads, 3, dim), 2)
                } else {
                    ((n, 3, heads, dim), 1)
                };
                let all = qkv.forward(x)?.reshape(shape)?;
                // Parts of wider rows are not contiguous; operations that need it make a copy.
                let part = |i: usize| all.narrow(axis, i, 1)?.squeeze(axis);
                Ok((part(0)?, part(1)?, part(2)?))
            }
        }
    }

    fn queries(&self, x: &Tensor) -> Result<Tensor> {
        match &self.inputs {
            Inputs::Separate { q, .. } => {
                q.forward(x)?
                    .reshape((x.dim(0)?, self.spec.heads, self.spec.head_dim))
            }
            Inputs::Fused { .. } => Ok(self.project(x)?.0),
        }
    }

    /// Queries and keys after norms and rotary positions, and values.
    fn prepared(&self, x: &Tensor, angles: Option<&Angles>) -> Result<(Tensor, Tensor, Tensor)> {
        let (mut q, mut k, v) = self.project(x)?;
        if let Some((of_queries, of_keys)) = &self.norms {
            let each = |x: &Tensor, norm: &NormLayer| {
                norm.forward(&x.reshape(((), self.spec.head_dim))?)?
                    .reshape(x.shape())
            };
            (q, k) = (each(&q, of_queries)?, each(&k, of_keys)?);
        }
        if let Some(angles) = angles {
            q = rotate(&q, &angles.cos, &angles.sin)?;
            k = rotate(&k, &angles.cos, &angles.sin)?;
            if let Some(factors) = &angles.query {
                q = q.broadcast_mul(&factors.to_dtype(q.dtype())?)?;
            }
        }
        Ok((q, k, v))
    }

    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, mask: &Mask) -> Result<Tensor> {
        let out = match mask.bias {
            Some(bias) => biased(q, k, v, mask.segments, mask.causal, self.scale(), bias)?,
            None => {
                let (segments, causal) = (mask.segments, mask.causal);
                attention(q, k, v, segments, causal, self.scale(), self.precision)?
            }
        };
        self.output(&out)
    }

    /// `[tokens, heads, head_dim]` → `[tokens, width]`.
    fn output(&self, out: &Tensor) -> Result<Tensor> {
        let rows = out.dim(0)?;
        self.o
            .forward(&out.reshape((rows, self.spec.heads * self.spec.head_dim))?)
    }

    /// `x [tokens, width]` → `[tokens, width]`.
    pub fn forward(&self, x: &Tensor, mask: &Mask, angles: Option<&Angles>) -> Result<Tensor> {
        let (q, k, v) = self.prepared(x, angles)?;
        self.attend(&q, &k, &v, mask)
    }

    /// As [`forward`](Self::forward), with the earlier tokens of the sequences in a KV cache, if there is one. Taps
    /// `query_{layer}` and `key_{layer}` after rotary positions.
    pub(crate) fn cached(
        &self,
        x: &Tensor,
        mask: &Mask,
        angles: Option<&Angles>,
        cached: Option<&Cached>,
        layer: usize,
        taps: &mut Taps,
    ) -> Result<Tensor> {
        let (q, k, v) = self.prepared(x, angles)?;
        taps.tap_layer("query", layer, &q);
        taps.tap_layer("key", layer, &k);
        let Some(cached) = cached else {
            return self.attend(&q, &k, &v, mask);
        };
        let Batch { tables, lengths, .. } = cached.batch;
        cached.cache.write(layer, (tables, lengths), &k, &v)?;
        match (cached.cache.layer(layer), &cached.rows) {
            (Layer::Blocks(blocks), _) => {
                let kv_heads = self.spec.kv_heads;
                self.output(&attention_blocks(
                    &q,
                    blocks,
                    kv_heads,
                    (mask.segments, tables),
                    mask.causal,
                    self.scale(),
                )?)
            }
            (Layer::Tensors(keys, values), Some(rows)) => {
                let read = |t: &Tensor| t.index_select(rows, 0);
                self.attend(&q, &read(keys)?, &read(values)?, mask)
            }
            (Layer::Tensors(..), None) => candle_core::bail!("a KV cache of tensors without their rows"),
        }
    }

    /// Keys and values `[rows, kv_heads, head_dim]` projected from `[rows, kv_width]`, for [`across`](Self::across).
    pub fn keys_and_values(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        match &self.inputs {
            Inputs::Separate { k, v, .. } => {
                let shape = (x.dim(0)?, self.spec.kv_heads, self.spec.head_dim);
                Ok((k.forward(x)?.reshape(shape)?, v.forward(x)?.reshape(shape)?))
            }
            Inputs::Fused { .. } => self.project(x).map(|(_, k, v)| (k, v)),
        }
    }

    /// The same where keys and values are projected from different rows, for example keys from rows with positions added.
    pub fn keys_and_values_apart(&self, of_keys: &Tensor, of_values: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok((
            self.keys_and_values(of_keys)?.0,
            self.keys_and_values(of_values)?.1,
        ))
    }

    /// Cross-attention of `x` to the given keys and values.
    pub fn across(&self, x: &Tensor, (k, v): (&Tensor, &Tensor), mask: &Mask) -> Result<Tensor> {
        self.attend(&self.queries(x)?, k, v, mask)
    }
}

/// The fused matrix of all three projections, with its bias in any of the stored forms.
fn fused(p: &Params, spec: &Attn, width: usize) -> std::result::Result<Linear, LoadError> {
    let inner = spec.heads * spec.head_dim;
    let (outputs, Bias { q, k, v, .. }) = (3 * inner, spec.bias);
    if q == k {
        return Linear::load(&p.at("qkv"), width, outputs, q && v);
    }
    let weight = p.at("qkv").tensor("weight", &[outputs, width])?;
    let (q, v) = (p.tensor("q_bias", &[inner])?, p.tensor("v_bias", &[inner])?);
    Linear::new(weight, Some(Tensor::cat(&[&q, &q.zeros_like()?, &v], 0)?), p)
}

/// Reorders the rows of a projection from adjacent pairs to pairs half a head apart.
fn apart(weight: &Tensor, head_dim: usize) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    weight
        .reshape((outputs / head_dim, head_dim / 2, 2, inputs))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((outputs, inputs))
}
