//! Arguments of a reference: named arrays, padded batches, and their conversion to packed rows and back.

use candle_core::{Device, Tensor};
use ocellus_media::Grid;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::error::ModelError;
use crate::packed_texts::PackedTexts;
use crate::patches::patch_rows;

/// Named arrays and options.
#[derive(Default)]
pub struct Given {
    pub integers: BTreeMap<String, (Vec<usize>, Vec<i64>)>,
    pub floats: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    pub options: Value,
}

impl Given {
    pub fn has(&self, name: &str) -> bool {
        self.integers.contains_key(name) || self.floats.contains_key(name)
    }

    /// An integer array with `rank` axes.
    pub fn integers(&self, name: &str, rank: usize) -> Result<(&[usize], &[i64]), ModelError> {
        let found = self.integers.get(name).filter(|(shape, _)| shape.len() == rank);
        found
            .map(|(shape, values)| (&shape[..], &values[..]))
            .ok_or_else(|| self.wrong(name, format!("whole numbers on {rank} axes")))
    }

    /// A float tensor with `rank` axes.
    pub fn tensor(&self, name: &str, rank: usize) -> Result<Tensor, ModelError> {
        match self.floats.get(name).filter(|(shape, _)| shape.len() == rank) {
            Some((shape, values)) => Ok(Tensor::from_slice(values, &shape[..], &Device::Cpu)?),
            None => Err(self.wrong(name, format!("numbers on {rank} axes"))),
        }
    }

    /// The rows of `ids` without positions where `mask` is 0; without a mask, all positions.
    pub fn rows(&self, ids: &str, mask: &str) -> Result<PackedTexts, ModelError> {
        let (shape, values) = self.integers(ids, 2)?;
        let real = match self.has(mask) {
            true => self.integers(mask, 2)?.1.to_vec(),
            false => vec![1; values.len()],
        };
        if real.len() != values.len() {
            return Err(self.wrong(mask, format!("{shape:?} like {ids}")));
        }
        let mut rows = PackedTexts::from_mask(shape[1], &real);
        rows.ids = self.packed(ids, &rows)?;
        Ok(rows)
    }

    /// The values of an array `[batch, length]` at the real positions of `rows`.
    pub fn packed(&self, name: &str, rows: &PackedTexts) -> Result<Vec<u32>, ModelError> {
        let (shape, values) = self.integers(name, 2)?;
        if shape != [rows.lengths.len(), rows.length] {
            return Err(self.wrong(name, format!("[{}, {}]", rows.lengths.len(), rows.length)));
        }
        let id = |place: &usize| {
            u32::try_from(values[*place]).map_err(|_| self.wrong(name, "no negative numbers"))
        };
        rows.places.iter().map(id).collect()
    }

    /// Pictures `[n, 3, height, width]` as patch rows in raster order. `sizes` gives the real height and width of each in px; the
    /// rest is padding on the right and at the bottom.
    pub fn patches(
        &self,
        name: &str,
        patch: usize,
        sizes: Option<&[(usize, usize)]>,
    ) -> Result<(Tensor, Vec<Grid>), ModelError> {
        patch_rows(&self.tensor(name, 4)?, patch, sizes)
    }

    fn wrong(&self, name: &str, expected: impl ToString) -> ModelError {
        let shape = self
            .integers
            .get(name)
            .map(|(s, _)| s)
            .or_else(|| self.floats.get(name).map(|(s, _)| s));
        let found = shape.map_or("nothing".to_owned(), |s| format!("shape {s:?}"));
        ModelError::input(format!("input `{name}`"), expected, found)
    }
}
