//! The KV cache: keys and values of earlier tokens, in blocks. It does not know which sequence owns a block; each sequence comes
//! with its block table.

use candle_core::{DType, Device, Tensor};
use ocellus_base::trace::span;
use ocellus_kernels::attention::{BLOCK, KvBlocks, KvWidth};
use std::sync::{PoisonError, RwLock};

use crate::ops::with_slice;
use crate::{Precision, Result};

/// Sizes of the keys and values of a token.
#[derive(Clone, Debug)]
pub struct KvLayout {
    pub layers: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub storage: KvStorage,
}

/// The storage that attention reads keys and values from.
#[derive(Clone, Debug)]
pub enum KvStorage {
    /// Blocks of the CPU kernels, whose matrix products have this precision.
    Blocks(Precision),
    /// Tensors of a type on a device.
    Tensors(DType, Device),
}

/// The block table of a sequence, and how many tokens its blocks hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockTable {
    pub blocks: Vec<u32>,
    pub len: usize,
}

/// Keys and values of all layers.
pub struct KvCache {
    layers: Vec<Layer>,
    blocks: usize,
    block_bytes: usize,
}

/// Keys and values of one layer.
pub(crate) enum Layer {
    /// Keys and values `[blocks · BLOCK, kv_heads, head_dim]`.
    Tensors(Tensor, Tensor),
    Blocks(RwLock<KvBlocks>),
}

/// Number of blocks by which tensors grow: growing copies the existing blocks.
const TENSOR_BLOCKS: usize = 16;

impl KvCache {
    /// A cache without blocks; see [`KvCache::grow`]. Only [`KvStorage::Blocks`] can be quantised; tensors keep their type.
    pub fn new(layout: &KvLayout, width: KvWidth) -> Result<Self> {
        let heads = (layout.kv_heads, layout.head_dim);
        let layer = || {
            Ok(match &layout.storage {
                KvStorage::Blocks(precision) => {
                    Layer::Blocks(RwLock::new(KvBlocks::new((*precision, width), heads)))
                }
                KvStorage::Tensors(dtype, device) => {
                    let empty = || Tensor::zeros((0, heads.0, heads.1), *dtype, device);
                    Layer::Tensors(empty()?, empty()?)
                }
            })
        };
        let layers: Vec<Layer> = (0..layout.layers).map(|_| layer()).collect::<Result<_>>()?;
        Ok(Self {
            layers,
            blocks: 0,
            block_bytes: layout.layers * layout.block_bytes(width),
        })
    }

    /// Allocates blocks until there are at least `count`, each of [`BLOCK`] tokens; existing blocks keep their contents.
    pub fn grow(&mut self, count: usize) -> Result<()> {
        if count <= self.blocks {
            return Ok(());
        }
        let count = count.next_multiple_of(TENSOR_BLOCKS);
        for layer in &mut self.layers {
            match layer {
                Layer::Tensors(keys, values) => {
                    for rows in [keys, values] {
                        let (have, heads, dim) = rows.dims3()?;
                        let more = (count * BLOCK - have, heads, dim);
                        let more = Tensor::zeros(more, rows.dtype(), rows.device())?;
                        *rows = Tensor::cat(&[&*rows, &more], 0)?;
                    }
                }
                Layer::Blocks(blocks) => {
                    let blocks = blocks.get_mut().unwrap_or_else(PoisonError::into_inner);
                    blocks.grow(count);
                }
            }
        }
        self.blocks = count;
        Ok(())
    }

    pub(crate) fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Bytes of one block in all layers.
    pub fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    pub(crate) fn layer(&self, layer: usize) -> &Layer {
        &self.layers[layer]
    }

    /// Appends tokens to sequences: `k` and `v` are `[tokens, kv_heads, head_dim]`; `lengths[i]` of the rows belong to the
    /// sequence with `tables[i]`, behind the tokens that it holds already.
    pub(crate) fn write(
        &self,
        layer: usize,
        (tables, lengths): (&[BlockTable], &[usize]),
        k: &Tensor,
        v: &Tensor,
    ) -> Result<()> {
        let _span = span("cache");
        for (table, count) in tables.iter().zip(lengths) {
            if table.len + count > table.blocks.len() * BLOCK {
                let (tokens, blocks) = (table.len + count, table.blocks.len());
                candle_core::bail!(
                    "a sequence of {tokens} tokens does not fit its {blocks} blocks of {BLOCK}"
                );
            }
        }
        match &self.layers[layer] {
            Layer::Tensors(keys, values) => {
                let mut from = 0;
                for (table, count) in tables.iter().zip(lengths) {
                    for run in table.runs(*count) {
                        let rows = |t: &Tensor| t.narrow(0, from, run.len())?.contiguous();
                        keys.slice_set(&rows(k)?, 0, run.start)?;
                        values.slice_set(&rows(v)?, 0, run.start)?;
                        from += run.len();
                    }
                }
                Ok(())
            }
            Layer::Blocks(blocks) => {
                let mut blocks = blocks.write().unwrap_or_else(PoisonError::into_inner);
                let width = k.dim(1)? * k.dim(2)?;
                with_slice(k, |k| {
                    with_slice(v, |v| {
                        let mut rows = k.chunks_exact(width).zip(v.chunks_exact(width));
                        for (table, count) in tables.iter().zip(lengths) {
                            for ((k, v), place) in rows.by_ref().take(*count).zip(table.len..) {
                                let block = table.blocks[place / BLOCK] as usize;
                                blocks.write(block, place % BLOCK, k, v);
                            }
                        }
                    })
                })?
            }
        }
    }

    /// Copies block `from` to block `to`: copy on write, for a sequence that continues in a shared block.
    pub fn copy(&self, from: u32, to: u32) -> Result<()> {
        let (from, to) = (from as usize, to as usize);
        for layer in &self.layers {
            match layer {
                Layer::Tensors(keys, values) => {
                    for rows in [keys, values] {
                        rows.slice_set(&rows.narrow(0, from * BLOCK, BLOCK)?.copy()?, 0, to * BLOCK)?;
                    }
                }
                Layer::Blocks(blocks) => {
                    let mut blocks = blocks.write().unwrap_or_else(PoisonError::into_inner);
                    blocks.copy(from, to);
                }
            }
        }
        Ok(())
    }

    /// Fills a block with NaN in all layers, so that a read of stale values shows in results.
    pub fn poison(&self, block: u32) -> Result<()> {
        for layer in &self.layers {
            match layer {
                Layer::Tensors(keys, values) => {
                    for rows in [keys, values] {
                        let own = rows.narrow(0, block as usize * BLOCK, BLOCK)?;
                        let nan = (own.zeros_like()? + f64::NAN)?;
                        rows.slice_set(&nan, 0, block as usize * BLOCK)?;
                    }
                }
                Layer::Blocks(blocks) => {
                    let mut blocks = blocks.write().unwrap_or_else(PoisonError::into_inner);
                    blocks.poison(block as usize);
                }
            }
        }
        Ok(())
    }
}

impl KvLayout {
    /// Bytes of a block in one layer.
    fn block_bytes(&self, width: KvWidth) -> usize {
        let heads = (self.kv_heads, self.head_dim);
        match &self.storage {
            KvStorage::Blocks(precision) => KvBlocks::new((*precision, width), heads).block_bytes(),
            KvStorage::Tensors(dtype, _) => 2 * BLOCK * heads.0 * heads.1 * dtype.size_in_bytes(),
        }
    }

    /// Whether keys and values can be quantised.
    pub fn narrows(&self) -> bool {
        matches!(self.storage, KvStorage::Blocks(_))
    }
}

impl BlockTable {
    /// Number of blocks for `tokens` tokens.
    pub fn blocks_for(tokens: usize) -> usize {
        tokens.div_ceil(BLOCK)
    }

    /// Row ranges of a layer's tensors that the next `count` tokens are written to, one per block.
    fn runs(&self, count: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
        let end = self.len + count;
        let mut at = self.len;
        std::iter::from_fn(move || {
            let stop = end.min((at / BLOCK + 1) * BLOCK);
            let first = *self.blocks.get(at / BLOCK)? as usize * BLOCK + at % BLOCK;
            let run = first..first + (stop - at);
            at = stop;
            (!run.is_empty()).then_some(run)
        })
    }

    /// Row indices of a layer's tensors that hold the first `count` tokens, in order.
    pub(crate) fn rows(&self, count: usize) -> impl Iterator<Item = u32> {
        (0..count).map(|i| self.blocks[i / BLOCK] * BLOCK as u32 + (i % BLOCK) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_behind_those_that_are_there_block_by_block() {
        let table = BlockTable {
            blocks: vec![5, 0, 2],
            len: 62,
        };
        // First row and number of rows of every run.
        let cases: [(usize, &[(usize, usize)]); 4] = [
            (0, &[]),
            (2, &[(382, 2)]),
            (3, &[(382, 2), (0, 1)]),
            (70, &[(382, 2), (0, 64), (128, 4)]),
        ];
        for (count, expected) in cases {
            let runs: Vec<_> = table.runs(count).map(|run| (run.start, run.len())).collect();
            assert_eq!(runs, expected, "{count}");
        }
        let read: Vec<u32> = table.rows(66).collect();
        assert_eq!((read[0], read[63], read[64], read[65]), (320, 383, 0, 1));
    }

    #[test]
    fn a_copied_block_stands_by_itself() {
        let layout = KvLayout {
            layers: 2,
            kv_heads: 1,
            head_dim: 1,
            storage: KvStorage::Tensors(DType::F32, Device::Cpu),
        };
        let mut cache = KvCache::new(&layout, KvWidth::Full).unwrap();
        cache.grow(3).unwrap();
        let rows = |from: usize, count: usize| {
            let values: Vec<f32> = (from..from + count).map(|v| v as f32).collect();
            Tensor::from_vec(values, (count, 1, 1), &Device::Cpu).unwrap()
        };
        let mut table = BlockTable {
            blocks: vec![2, 0],
            len: 0,
        };
        let write = |table: &BlockTable, from: usize, count: usize| {
            let new = rows(from, count);
            for layer in 0..2 {
                let sequences = (std::slice::from_ref(table), &[count][..]);
                cache.write(layer, sequences, &new, &new).unwrap();
            }
        };
        write(&table, 0, 66);
        table.len = 66;
        cache.copy(0, 1).unwrap();
        let other = BlockTable {
            blocks: vec![2, 1],
            ..table.clone()
        };
        write(&table, 100, 1);
        write(&other, 200, 1);
        for (table, last) in [(&table, 100.0), (&other, 200.0)] {
            let Layer::Tensors(keys, _) = cache.layer(1) else {
                panic!("made of tensors");
            };
            let index: Vec<u32> = table.rows(67).collect();
            let index = Tensor::from_vec(index, 67, &Device::Cpu).unwrap();
            let kept: Vec<f32> = keys
                .index_select(&index, 0)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            let expected: Vec<f32> = (0..66).map(|v| v as f32).chain([last]).collect();
            assert_eq!(kept, expected);
        }
        assert!(
            cache
                .write(0, (&[other], &[63]), &rows(0, 63), &rows(0, 63))
                .is_err()
        );
    }
}
