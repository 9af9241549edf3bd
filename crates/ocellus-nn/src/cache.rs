//! The keys and values that a decoder keeps of the tokens it has read.

use candle_core::{DType, Device, Tensor};
use ocellus_base::trace::span;
use ocellus_kernels::attention::{KvCache, KvWidth};
use std::sync::{PoisonError, RwLock};

use crate::ops::with_slice;
use crate::{Precision, Result};

/// Keys and values of several sequences, each in a slot of fixed capacity. Whoever made the cache decides which sequence has
/// which slot.
pub struct Cache {
    layers: Vec<Layer>,
    /// Rows from slot to slot.
    stride: usize,
    capacity: usize,
    lengths: Vec<usize>,
}

/// What a layer keeps.
pub enum Layer {
    /// Keys and values `[slots · stride, kv_heads, head_dim]`; slot `s` owns the rows from `s · stride`.
    Tensors(Tensor, Tensor),
    /// The CPU kernels' own pages.
    Pages(RwLock<KvCache>),
}

impl Cache {
    /// Tensors of any type on any device.
    pub fn new(
        layers: usize,
        (slots, capacity): (usize, usize),
        (kv_heads, head_dim): (usize, usize),
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let zeros = || Tensor::zeros((slots * capacity, kv_heads, head_dim), dtype, device);
        let layers = (0..layers)
            .map(|_| Ok(Layer::Tensors(zeros()?, zeros()?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            layers,
            stride: capacity,
            capacity,
            lengths: vec![0; slots],
        })
    }

    /// Pages for the CPU's kernels, whose products are computed at a precision.
    pub fn paged(
        layers: usize,
        (slots, capacity): (usize, usize),
        heads: (usize, usize),
        kind: (Precision, KvWidth),
    ) -> Self {
        let pages = || KvCache::new(kind, (slots, capacity), heads);
        Self {
            layers: (0..layers).map(|_| Layer::Pages(RwLock::new(pages()))).collect(),
            stride: pages().capacity(),
            capacity,
            lengths: vec![0; slots],
        }
    }

    /// Tokens that the sequence in `slot` has.
    pub fn len(&self, slot: usize) -> usize {
        self.lengths[slot]
    }

    /// Tokens that a slot can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The row of the first token of `slot`.
    pub fn start(&self, slot: usize) -> usize {
        slot * self.stride
    }

    /// Writes `count` new rows of `k` and `v` `[rows, kv_heads, head_dim]`, from row `from`, behind the tokens of `slot`.
    pub fn write(
        &self,
        layer: usize,
        slot: usize,
        k: &Tensor,
        v: &Tensor,
        from: usize,
        count: usize,
    ) -> Result<()> {
        let _span = span("cache");
        let at = self.lengths[slot];
        if at + count > self.capacity {
            candle_core::bail!(
                "a sequence of {} tokens does not fit its cache of {}",
                at + count,
                self.capacity
            );
        }
        match &self.layers[layer] {
            Layer::Tensors(keys, values) => {
                let row = self.start(slot) + at;
                keys.slice_set(&k.narrow(0, from, count)?.contiguous()?, 0, row)?;
                values.slice_set(&v.narrow(0, from, count)?.contiguous()?, 0, row)
            }
            Layer::Pages(pages) => {
                let mut pages = pages.write().unwrap_or_else(PoisonError::into_inner);
                let width = k.dim(1)? * k.dim(2)?;
                with_slice(k, |k| {
                    with_slice(v, |v| {
                        for i in 0..count {
                            let row = (from + i) * width..(from + i + 1) * width;
                            pages.write(slot, at + i, &k[row.clone()], &v[row]);
                        }
                    })
                })?
            }
        }
    }

    /// The keys and values of a layer, all slots.
    pub fn layer(&self, layer: usize) -> &Layer {
        &self.layers[layer]
    }

    /// Gives every slot `to` of the pairs `(from, to)` the tokens of slot `from`, for searches whose hypotheses branch. All are
    /// read before any is written, so slots may change places.
    pub fn copy(&mut self, pairs: &[(usize, usize)]) -> Result<()> {
        let moved = || pairs.iter().filter(|(from, to)| from != to);
        for layer in &self.layers {
            match layer {
                Layer::Tensors(keys, values) => {
                    let read = |(from, _): &(usize, usize)| {
                        let rows = |t: &Tensor| t.narrow(0, from * self.stride, self.lengths[*from])?.copy();
                        Ok((rows(keys)?, rows(values)?))
                    };
                    let old: Vec<(Tensor, Tensor)> = moved().map(read).collect::<Result<_>>()?;
                    for ((k, v), (_, to)) in old.iter().zip(moved()) {
                        if k.dim(0)? > 0 {
                            keys.slice_set(k, 0, to * self.stride)?;
                            values.slice_set(v, 0, to * self.stride)?;
                        }
                    }
                }
                Layer::Pages(pages) => {
                    let mut pages = pages.write().unwrap_or_else(PoisonError::into_inner);
                    let old: Vec<Vec<u8>> = moved()
                        .map(|(from, _)| pages.save(*from, self.lengths[*from]))
                        .collect();
                    old.iter()
                        .zip(moved())
                        .for_each(|(saved, (_, to))| pages.restore(*to, saved));
                }
            }
        }
        let lengths: Vec<usize> = moved().map(|(from, _)| self.lengths[*from]).collect();
        moved()
            .zip(lengths)
            .for_each(|((_, to), len)| self.lengths[*to] = len);
        Ok(())
    }

    /// Counts `count` tokens as read, after every layer has written them.
    pub fn advance(&mut self, slot: usize, count: usize) {
        self.lengths[slot] += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(from: usize, count: usize) -> Tensor {
        let values: Vec<f32> = (from..from + count).map(|v| v as f32).collect();
        Tensor::from_vec(values, (count, 1, 1), &Device::Cpu).unwrap()
    }

    /// The keys of a slot.
    fn held(cache: &Cache, layer: usize, slot: usize) -> Vec<f32> {
        let Layer::Tensors(keys, _) = cache.layer(layer) else {
            panic!("made of tensors");
        };
        let rows = keys.narrow(0, cache.start(slot), cache.len(slot));
        rows.unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn slots_branch_and_change_places() {
        let mut cache = Cache::new(2, (4, 3), (1, 1), DType::F32, &Device::Cpu).unwrap();
        for (slot, count) in [(0, 2), (1, 3), (2, 1)] {
            for layer in 0..2 {
                let new = rows(100 * layer + 10 * slot, count);
                cache.write(layer, slot, &new, &new, 0, count).unwrap();
            }
            cache.advance(slot, count);
        }
        cache.copy(&[(1, 0), (0, 1), (2, 2), (0, 3)]).unwrap();
        for layer in 0..2 {
            let first = 100.0 * layer as f32;
            let held: Vec<Vec<f32>> = (0..4).map(|slot| held(&cache, layer, slot)).collect();
            let old = |tens: f32, count: usize| -> Vec<f32> {
                (0..count).map(|i| first + tens + i as f32).collect()
            };
            assert_eq!(held, [old(10.0, 3), old(0.0, 2), old(20.0, 1), old(0.0, 2)]);
        }
        cache.copy(&[(3, 0)]).unwrap();
        assert_eq!((cache.len(0), cache.len(1), cache.len(3)), (2, 2, 2));
    }
}
