//! The keys and values that a decoder keeps of the tokens it has read.

use candle_core::{DType, Device, Tensor};

use crate::Result;

/// Keys and values of several sequences, each in a slot of fixed capacity.
///
/// One tensor pair a layer, `[slots · capacity, kv_heads, head_dim]`; slot `s` owns the rows from `s · capacity`. Whoever made
/// the cache decides which sequence has which slot.
pub struct Cache {
    layers: Vec<(Tensor, Tensor)>,
    capacity: usize,
    lengths: Vec<usize>,
}

impl Cache {
    pub fn new(
        layers: usize,
        (slots, capacity): (usize, usize),
        (kv_heads, head_dim): (usize, usize),
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let zeros = || Tensor::zeros((slots * capacity, kv_heads, head_dim), dtype, device);
        let layers = (0..layers)
            .map(|_| Ok((zeros()?, zeros()?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            layers,
            capacity,
            lengths: vec![0; slots],
        })
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
        slot * self.capacity
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
        let at = self.lengths[slot];
        if at + count > self.capacity {
            candle_core::bail!(
                "a sequence of {} tokens does not fit its cache of {}",
                at + count,
                self.capacity
            );
        }
        let (keys, values) = &self.layers[layer];
        let row = self.start(slot) + at;
        keys.slice_set(&k.narrow(0, from, count)?.contiguous()?, 0, row)?;
        values.slice_set(&v.narrow(0, from, count)?.contiguous()?, 0, row)
    }

    /// The keys and values of a layer, all slots.
    pub fn layer(&self, layer: usize) -> (&Tensor, &Tensor) {
        let (keys, values) = &self.layers[layer];
        (keys, values)
    }

    /// Counts `count` tokens as read, after every layer has written them.
    pub fn advance(&mut self, slot: usize, count: usize) {
        self.lengths[slot] += count;
    }
}
