//! Attention supervision: one head is trained to attend to the visual token that holds the next character.
//!
//! A line reader has to learn *where* to attend before it can learn *what* is there; the synthesis knows where every character
//! was drawn. The loss is the cross-entropy of the head's attention over the visual tokens of its own example. Its weight fades
//! to zero during the run, and the trained model contains nothing of it.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor};
use std::sync::Arc;

use crate::pack::Guide;

/// Sum over `guides` of `-log softmax(q · kᵀ / sqrt(head_dim))[wanted]`, for head 0 of `query [tokens, heads, head_dim]` and
/// `key [tokens, kv_heads, head_dim]`.
pub fn guide(query: &Tensor, key: &Tensor, guides: &Arc<[Guide]>) -> Result<Tensor> {
    query
        .contiguous()?
        .apply_op2(&key.contiguous()?, Head0(guides.clone()))
}

struct Head0(Arc<[Guide]>);

/// Elements of a contiguous tensor and the distance of its rows.
struct Rows<'a> {
    data: &'a [f32],
    stride: usize,
    head_dim: usize,
}

impl<'a> Rows<'a> {
    fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        let (_, heads, head_dim) = layout.shape().dims3()?;
        let data = &storage.as_slice::<f32>()?[layout.start_offset()..];
        Ok(Self {
            data,
            stride: heads * head_dim,
            head_dim,
        })
    }

    fn row(&self, i: usize) -> &'a [f32] {
        &self.data[i * self.stride..][..self.head_dim]
    }
}

/// Attention of one guide over its visual tokens, and its loss.
fn attend(q: &Rows, k: &Rows, g: &Guide) -> (Vec<f32>, f32) {
    let scale = 1.0 / (q.head_dim as f32).sqrt();
    let dot = |cell| {
        q.row(g.query)
            .iter()
            .zip(k.row(g.cells + cell))
            .map(|(a, b)| a * b)
            .sum::<f32>()
            * scale
    };
    let mut weights: Vec<f32> = (0..g.count).map(dot).collect();
    let largest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    weights.iter_mut().for_each(|w| *w = (*w - largest).exp());
    let sum: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum);
    let loss = -weights[g.wanted].max(f32::MIN_POSITIVE).ln();
    (weights, loss)
}

impl CustomOp2 for Head0 {
    fn name(&self) -> &'static str {
        "attention-guide"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k) = (Rows::new(s1, l1)?, Rows::new(s2, l2)?);
        let sum = self.0.iter().map(|g| attend(&q, &k, g).1).sum();
        Ok((CpuStorage::F32(vec![sum]), Shape::from(())))
    }

    fn bwd(
        &self,
        query: &Tensor,
        key: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let factor = grad.to_scalar::<f32>()?;
        let (mut dq, mut dk) = (vec![0.0; query.elem_count()], vec![0.0; key.elem_count()]);
        {
            let ((s1, l1), (s2, l2)) = (query.storage_and_layout(), key.storage_and_layout());
            let (Storage::Cpu(s1), Storage::Cpu(s2)) = (&*s1, &*s2) else {
                candle_core::bail!("the attention guide is computed on the CPU");
            };
            let (q, k) = (Rows::new(s1, l1)?, Rows::new(s2, l2)?);
            let scale = factor / (q.head_dim as f32).sqrt();
            for g in self.0.iter() {
                let (weights, _) = attend(&q, &k, g);
                for (cell, weight) in weights.iter().enumerate() {
                    let d = (weight - if cell == g.wanted { 1.0 } else { 0.0 }) * scale;
                    let add = |out: &mut [f32], from: &[f32]| {
                        out.iter_mut().zip(from).for_each(|(o, f)| *o += d * f);
                    };
                    add(&mut dq[g.query * q.stride..][..q.head_dim], k.row(g.cells + cell));
                    add(
                        &mut dk[(g.cells + cell) * k.stride..][..k.head_dim],
                        q.row(g.query),
                    );
                }
            }
        }
        Ok((
            Some(Tensor::from_vec(dq, query.shape(), query.device())?),
            Some(Tensor::from_vec(dk, key.shape(), key.device())?),
        ))
    }
}
