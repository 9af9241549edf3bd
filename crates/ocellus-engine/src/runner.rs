//! A model with its KV cache: sequences get blocks, and packed rows of several go through the decoder together.

use candle_core::{DType, Device, Storage, Tensor};
use ocellus_base::trace::span;
use ocellus_models::{Embeddings, ModelError, Vlm};
use ocellus_nn::attention::Batch;
use ocellus_nn::{BLOCK, BlockTable, CrossSpan, KvCache, KvWidth, Taps};

use crate::block_pool::BlockPool;
use crate::error::EngineError;
use crate::model::ModelHandle;

pub(crate) struct Runner<'m> {
    model: ModelHandle<'m>,
    cache: KvCache,
    pub pool: BlockPool,
    /// Whether free blocks are filled with NaN (for tests).
    poison: bool,
}

/// New tokens of one sequence, which follow those in its block table.
pub(crate) struct Part<'t> {
    pub positions: Vec<[i64; 3]>,
    pub table: &'t mut BlockTable,
    pub cross: Option<CrossSpan>,
}

impl<'m> Runner<'m> {
    /// With at most `blocks` blocks, whose keys and values are kept in this width.
    pub fn new(
        model: ModelHandle<'m>,
        width: KvWidth,
        blocks: usize,
        poison: bool,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            cache: KvCache::new(&model.vlm().kv_layout(), width)?,
            pool: BlockPool::new(blocks),
            model,
            poison,
        })
    }

    pub fn vlm(&self) -> &dyn Vlm {
        self.model.vlm()
    }

    /// Blocks that a table needs besides those it has for `count` further tokens: new ones, and a copy of the one it goes on in
    /// when others name it too.
    pub fn missing(&self, table: &BlockTable, count: usize) -> usize {
        let new = BlockTable::blocks_for(table.len + count) - table.blocks.len();
        let goes_on_in = (count > 0).then(|| table.blocks.get(table.len / BLOCK)).flatten();
        new + usize::from(goes_on_in.is_some_and(|block| self.pool.shared(*block)))
    }

    /// Makes a table ready for `count` further tokens; false, and nothing done, when there are not enough blocks.
    pub fn prepare(&mut self, table: &mut BlockTable, count: usize) -> Result<bool, EngineError> {
        if self.missing(table, count) > self.pool.available() {
            return Ok(false);
        }
        let at = table.len / BLOCK;
        if count > 0
            && let Some(block) = table.blocks.get(at).copied()
            && self.pool.shared(block)
        {
            let copy = self.allocate()?;
            if !table.len.is_multiple_of(BLOCK) {
                self.cache.copy(block, copy)?;
            }
            self.release_block(block)?;
            table.blocks[at] = copy;
        }
        while table.blocks.len() < BlockTable::blocks_for(table.len + count) {
            table.blocks.push(self.allocate()?);
        }
        Ok(true)
    }

    fn allocate(&mut self) -> Result<u32, EngineError> {
        let block = self.pool.allocate().expect("counted before");
        self.cache.grow(self.pool.len())?;
        Ok(block)
    }

    /// A second table with the same tokens, which shares all blocks with the first.
    pub fn fork(&mut self, table: &BlockTable) -> BlockTable {
        table.blocks.iter().for_each(|block| self.pool.retain(*block));
        table.clone()
    }

    /// Keeps the first `len` tokens of a table.
    pub fn truncate(&mut self, table: &mut BlockTable, len: usize) -> Result<(), EngineError> {
        table.len = table.len.min(len);
        for block in table.blocks.split_off(BlockTable::blocks_for(table.len)) {
            self.release_block(block)?;
        }
        Ok(())
    }

    fn release_block(&mut self, block: u32) -> Result<(), EngineError> {
        if self.pool.release(block) {
            self.freed(block)?;
        }
        Ok(())
    }

    /// Called when a block became free.
    pub fn freed(&mut self, block: u32) -> Result<(), EngineError> {
        if self.poison {
            self.cache.poison(block)?;
        }
        Ok(())
    }

    /// The embeddings of tokens without pictures.
    pub fn embed(&self, ids: &[u32]) -> Result<Embeddings, EngineError> {
        Ok(self.vlm().embed(ids, None, None, &mut Taps::none())?)
    }

    /// Reads rows of sequences → hidden states of all rows, packed, `[rows, width]`. Tables have the rows' tokens afterwards; when
    /// reading fails they are as before. Room was made by [`Runner::prepare`].
    pub fn forward(&self, parts: &mut [Part], embeds: &Embeddings) -> Result<Tensor, EngineError> {
        let positions: Vec<[i64; 3]> = parts.iter().flat_map(|p| p.positions.iter().copied()).collect();
        let batch = Batch {
            lengths: parts.iter().map(|p| p.positions.len()).collect(),
            tables: parts.iter().map(|p| p.table.clone()).collect(),
            cross: parts.iter().filter_map(|p| p.cross.clone()).collect(),
        };
        let hidden = self
            .vlm()
            .forward(embeds, &positions, &batch, Some(&self.cache), &mut Taps::none())?;
        for part in parts {
            part.table.len += part.positions.len();
        }
        Ok(hidden)
    }

    /// The logits behind the rows `index` of hidden states, `[index, vocab]`.
    pub fn logits(&self, hidden: &Tensor, index: &[usize]) -> Result<Tensor, EngineError> {
        let _span = span("head");
        let all = hidden.dim(0)? == index.len() && index.iter().enumerate().all(|(i, row)| i == *row);
        let rows = match all {
            true => hidden.clone(),
            false => {
                let index = Tensor::from_iter(index.iter().map(|row| *row as u32), hidden.device())?;
                hidden.index_select(&index, 0)?
            }
        };
        Ok(self.vlm().logits(&rows)?)
    }
}

/// Calls `read(i, logits)` for every row of logits `[rows, vocab]`, in f32, where they lie.
pub(crate) fn each_row(logits: &Tensor, mut read: impl FnMut(usize, &[f32])) -> Result<(), EngineError> {
    let logits = logits
        .to_dtype(DType::F32)?
        .to_device(&Device::Cpu)?
        .contiguous()?;
    let (rows, vocab) = logits.dims2()?;
    let (storage, layout) = logits.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Err(ModelError::input("the logits", "values on the CPU", "others").into());
    };
    let start = layout.start_offset();
    let values = &storage.as_slice::<f32>()?[start..start + rows * vocab];
    values
        .chunks_exact(vocab)
        .enumerate()
        .for_each(|(i, row)| read(i, row));
    Ok(())
}
