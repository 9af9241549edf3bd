//! Texts packed one after another, and where their tokens stand in a padded batch.

use candle_core::Tensor;
use ocellus_nn::Segment;
use ocellus_nn::attention::segments;
use std::sync::Arc;

use crate::error::ModelError;

/// A padded batch without its padding: real places in row order, packed.
#[derive(Clone, Debug, Default)]
pub struct PackedTexts {
    /// Packed ids.
    pub ids: Vec<u32>,
    /// Real tokens of each row.
    pub lengths: Vec<usize>,
    /// Where each packed token stands in the padded batch: `row · length + column`.
    pub places: Vec<usize>,
    /// Columns of the padded batch.
    pub length: usize,
}

impl PackedTexts {
    /// From a mask `[batch, length]`, whose zeros are padding.
    pub fn from_mask(length: usize, mask: &[i64]) -> Self {
        let rows = mask.chunks_exact(length.max(1));
        Self {
            ids: Vec::new(),
            lengths: rows.map(|r| r.iter().filter(|m| **m != 0).count()).collect(),
            places: (0..mask.len()).filter(|i| mask[*i] != 0).collect(),
            length,
        }
    }

    /// Texts as they are, without padding.
    pub fn of_texts(texts: &[&[u32]]) -> Self {
        let length = texts.iter().map(|t| t.len()).max().unwrap_or(0);
        let places = |(row, text): (usize, &&[u32])| {
            let first = row * length;
            first..first + text.len()
        };
        Self {
            ids: texts.concat(),
            lengths: texts.iter().map(|t| t.len()).collect(),
            places: texts.iter().enumerate().flat_map(places).collect(),
            length,
        }
    }

    /// Fails unless there are texts, none of them empty or past `positions`, and every id is below `vocab`.
    pub fn check(&self, vocab: usize, positions: usize) -> Result<(), ModelError> {
        let expected = || format!("1 to {positions} tokens");
        if self.lengths.is_empty() {
            return Err(ModelError::input("the input", "a text", "none"));
        }
        if self.lengths.contains(&0) {
            return Err(ModelError::input("a text", expected(), "none"));
        }
        if let Some(last) = self.columns().into_iter().max().filter(|last| *last >= positions) {
            return Err(ModelError::input("a text", expected(), last + 1));
        }
        match self.ids.iter().find(|id| **id as usize >= vocab) {
            Some(&id) => Err(ModelError::Vocabulary { id, vocab }),
            None => Ok(()),
        }
    }

    pub fn segments(&self) -> Arc<[Segment]> {
        segments(self.lengths.iter().copied())
    }

    /// Place of every token among the real ones of its row: 0, 1, 2, …
    pub fn counted(&self) -> Vec<u32> {
        self.lengths.iter().flat_map(|n| 0..*n as u32).collect()
    }

    /// Column of every token in the padded batch.
    pub fn columns(&self) -> Vec<usize> {
        self.places.iter().map(|p| p % self.length.max(1)).collect()
    }

    /// Places of padding before the first token of every row; an error when padding stands anywhere else.
    pub fn offsets(&self) -> Result<Vec<usize>, ModelError> {
        let row = |(i, n): (usize, &usize)| {
            let (offset, end) = (self.length - n, (i + 1) * self.length);
            let whole = (end - n..end).all(|place| self.places.binary_search(&place).is_ok());
            let found = || ModelError::input(format!("row {i}"), "padding on the left only", "other padding");
            whole.then_some(offset).ok_or_else(found)
        };
        self.lengths.iter().enumerate().map(row).collect()
    }

    /// Index of the first token of every row.
    pub fn firsts(&self) -> Vec<u32> {
        let mut next = 0;
        let first = |n: &usize| {
            next += *n as u32;
            next - *n as u32
        };
        self.lengths.iter().map(first).collect()
    }

    /// The ids of every row.
    pub fn split(&self) -> Vec<Vec<u32>> {
        let (mut rest, mut out) = (&self.ids[..], Vec::with_capacity(self.lengths.len()));
        for n in &self.lengths {
            let (row, more) = rest.split_at(*n);
            out.push(row.to_vec());
            rest = more;
        }
        out
    }

    /// Packed `[tokens, ..]` → `[batch, length, ..]`, 0 at padding.
    pub fn unpack(&self, packed: &Tensor) -> Result<Tensor, ModelError> {
        let padded = self.lengths.len() * self.length;
        let zero = packed.narrow(0, 0, 1)?.zeros_like()?;
        let mut index = vec![packed.dim(0)? as u32; padded];
        (0u32..)
            .zip(&self.places)
            .for_each(|(i, place)| index[*place] = i);
        let index = Tensor::from_vec(index, padded, packed.device())?;
        let rows = Tensor::cat(&[packed, &zero], 0)?.index_select(&index, 0)?;
        let mut shape = vec![self.lengths.len(), self.length];
        shape.extend(&packed.dims()[1..]);
        Ok(rows.reshape(shape)?)
    }
}
