//! Softmax attention over packed sequences, with grouped key-value heads.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, D, DType, Layout, Result, Shape, Tensor};
use ocellus_base::trace::span;
use ocellus_kernels::attention::{self, BlockSegment, KvBlocks, Segment};
use ocellus_kernels::gemm::Precision;
use ocellus_kernels::unset;
use std::sync::{Arc, PoisonError, RwLock};

use super::{by_rows, done, fused, rows, slice, with_slice};
use crate::cache::BlockTable;

/// `softmax(q · kᵀ · scale) · v` inside every segment.
///
/// `q [tq, heads, d]`, `k` and `v` `[tk, kv_heads, d]` with `heads` a multiple of `kv_heads` → `[tq, heads, d]`. With `causal`,
/// query `i` of a segment attends to its keys up to `k_len - q_len + i`. Rows of `q` outside all segments give zeros. The kernels
/// round the operands of products to `precision`.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &Arc<[Segment]>,
    causal: bool,
    scale: f32,
    precision: Precision,
) -> Result<Tensor> {
    let _span = span("attention");
    if !fused(q) {
        return composed(q, k, v, segments, causal, scale);
    }
    let op = Attention {
        segments: segments.clone(),
        causal,
        scale,
        precision,
    };
    q.contiguous()?.apply_op3(&k.contiguous()?, &by_rows(v)?, op)
}

/// As [`attention()`], with keys and values in a KV cache: the `k_len` keys of segment `i` lie in the blocks of `tables[i]`, and
/// its `k_start` is ignored. No gradient.
pub(crate) fn attention_blocks(
    q: &Tensor,
    blocks: &RwLock<KvBlocks>,
    kv_heads: usize,
    (segments, tables): (&[Segment], &[BlockTable]),
    causal: bool,
    scale: f32,
) -> Result<Tensor> {
    let _span = span("attention");
    let segments = segments.iter().zip(tables).map(|(s, table)| BlockSegment {
        q_start: s.q_start,
        q_len: s.q_len,
        k_len: s.k_len,
        table: &table.blocks,
    });
    let op = Blocks {
        blocks,
        segments: segments.collect(),
        kv_heads,
        causal,
        scale,
    };
    q.contiguous()?.apply_op1_no_bwd(&op)
}

struct Blocks<'a> {
    blocks: &'a RwLock<KvBlocks>,
    segments: Vec<BlockSegment<'a>>,
    kv_heads: usize,
    causal: bool,
    scale: f32,
}

impl CustomOp1 for Blocks<'_> {
    fn name(&self) -> &'static str {
        "attention-blocks"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, heads, head_dim) = l.shape().dims3()?;
        let shape = attention::Shape {
            heads,
            kv_heads: self.kv_heads,
            head_dim,
            causal: self.causal,
            scale: self.scale,
        };
        let q = slice(s, l)?;
        let mut out = unset(q.len());
        let blocks = self.blocks.read().unwrap_or_else(PoisonError::into_inner);
        attention::forward_blocks(&shape, &self.segments, q, &blocks, &mut out);
        done(out, l.shape())
    }
}

/// As [`attention()`], with `bias(segment) [heads, q_len, k_len]` added to the scaled scores of every segment (relative
/// positions). In plain candle.
pub fn biased(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &[Segment],
    causal: bool,
    scale: f32,
    bias: &dyn Fn(&Segment) -> Result<Tensor>,
) -> Result<Tensor> {
    let _span = span("attention");
    by_segment(q, k, v, segments, causal, scale, Some(bias))
}

/// The same in plain candle, segment by segment. The segments must cover the queries in order.
pub fn composed(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &[Segment],
    causal: bool,
    scale: f32,
) -> Result<Tensor> {
    by_segment(q, k, v, segments, causal, scale, None)
}

type Bias<'a> = dyn Fn(&Segment) -> Result<Tensor> + 'a;

fn by_segment(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &[Segment],
    causal: bool,
    scale: f32,
    bias: Option<&Bias>,
) -> Result<Tensor> {
    let (group, mut outputs) = (q.dim(1)? / k.dim(1)?.max(1), Vec::with_capacity(segments.len()));
    for s in segments.iter().filter(|s| s.q_len > 0) {
        let heads_first = |x: &Tensor, start, len| x.narrow(0, start, len)?.transpose(0, 1)?.contiguous();
        let repeat = |x: Tensor| -> Result<Tensor> {
            let (kv, len, d) = x.dims3()?;
            x.unsqueeze(1)?
                .broadcast_as((kv, group, len, d))?
                .contiguous()?
                .reshape((kv * group, len, d))
        };
        let q = heads_first(q, s.q_start, s.q_len)?; // [heads, q_len, d]
        let k = repeat(heads_first(k, s.k_start, s.k_len)?)?; // [heads, k_len, d]
        let v = repeat(heads_first(v, s.k_start, s.k_len)?)?;
        let mut scores = (q.matmul(&k.t()?.contiguous()?)? * f64::from(scale))?.to_dtype(DType::F32)?;
        if let Some(bias) = bias {
            scores = (scores + bias(s)?)?;
        }
        if causal {
            let offset = s.k_len - s.q_len;
            let mask: Vec<f32> = (0..s.q_len)
                .flat_map(|i| (0..s.k_len).map(move |j| if j > offset + i { f32::NEG_INFINITY } else { 0.0 }))
                .collect();
            scores = scores.broadcast_add(&Tensor::from_vec(mask, (1, s.q_len, s.k_len), q.device())?)?;
        }
        let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        let weights = weights
            .broadcast_div(&weights.sum_keepdim(D::Minus1)?)?
            .to_dtype(v.dtype())?;
        outputs.push(weights.matmul(&v)?.transpose(0, 1)?); // [q_len, heads, d]
    }
    if outputs.is_empty() {
        return q.zeros_like();
    }
    Tensor::cat(&outputs, 0)
}

struct Attention {
    segments: Arc<[Segment]>,
    causal: bool,
    scale: f32,
    precision: Precision,
}

impl Attention {
    fn shape(&self, q: (usize, usize, usize), k: (usize, usize, usize)) -> attention::Shape {
        attention::Shape {
            heads: q.1,
            kv_heads: k.1,
            head_dim: q.2,
            causal: self.causal,
            scale: self.scale,
        }
    }

    fn run(
        &self,
        shape: &attention::Shape,
        q: &[f32],
        k: &[f32],
        v: (&[f32], usize),
    ) -> (Vec<f32>, Vec<f32>) {
        let (mut out, mut lse) = (unset(q.len()), unset(q.len() / shape.head_dim.max(1)));
        attention::forward(self.precision, shape, &self.segments, q, k, v, &mut out, &mut lse);
        (out, lse)
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = self.shape(l1.shape().dims3()?, l2.shape().dims3()?);
        let (out, _) = self.run(&shape, slice(s1, l1)?, slice(s2, l2)?, rows(s3, l3)?);
        done(out, l1.shape())
    }

    /// The log-sum-exps are recomputed rather than stored: that costs one more pass over the scores, and a candle operation
    /// cannot return a second result.
    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let shape = self.shape(q.dims3()?, k.dims3()?);
        let (mut dq, mut dk, mut dv) = (
            vec![0.0; q.elem_count()],
            vec![0.0; k.elem_count()],
            vec![0.0; v.elem_count()],
        );
        with_slice(q, |q| {
            with_slice(k, |k| {
                with_slice(v, |v| {
                    with_slice(out, |out| {
                        with_slice(grad, |g| {
                            let stride = shape.kv_heads * shape.head_dim;
                            let (_, lse) = self.run(&shape, q, k, (v, stride));
                            attention::backward(
                                &shape,
                                &self.segments,
                                attention::Saved {
                                    q,
                                    k,
                                    v,
                                    out,
                                    lse: &lse,
                                },
                                g,
                                attention::Gradients {
                                    q: &mut dq,
                                    k: &mut dk,
                                    v: &mut dv,
                                },
                            );
                        })
                    })
                })
            })
        })?????;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), q.device());
        Ok((Some(tensor(dq, q)?), Some(tensor(dk, k)?), Some(tensor(dv, v)?)))
    }
}
