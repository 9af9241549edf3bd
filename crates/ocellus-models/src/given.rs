//! Arguments of a reference: named arrays, padded batches, and how they become packed rows and back.

use candle_core::{Device, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

use ocellus_nn::Segment;
use ocellus_nn::attention::segments;

use crate::vlm::{Grid, ModelError};

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

    /// An array of whole numbers with `rank` axes.
    pub fn integers(&self, name: &str, rank: usize) -> Result<(&[usize], &[i64]), ModelError> {
        let found = self.integers.get(name).filter(|(shape, _)| shape.len() == rank);
        found
            .map(|(shape, values)| (&shape[..], &values[..]))
            .ok_or_else(|| self.wrong(name, format!("whole numbers on {rank} axes")))
    }

    /// A tensor of numbers with `rank` axes.
    pub fn tensor(&self, name: &str, rank: usize) -> Result<Tensor, ModelError> {
        match self.floats.get(name).filter(|(shape, _)| shape.len() == rank) {
            Some((shape, values)) => Ok(Tensor::from_slice(values, &shape[..], &Device::Cpu)?),
            None => Err(self.wrong(name, format!("numbers on {rank} axes"))),
        }
    }

    /// The rows of `ids`, without the places where `mask` is 0; without a mask all of them.
    pub fn rows(&self, ids: &str, mask: &str) -> Result<Rows, ModelError> {
        let (shape, values) = self.integers(ids, 2)?;
        let real = match self.has(mask) {
            true => self.integers(mask, 2)?.1.to_vec(),
            false => vec![1; values.len()],
        };
        if real.len() != values.len() {
            return Err(self.wrong(mask, format!("{shape:?} like {ids}")));
        }
        let mut rows = Rows::from_mask(shape[1], &real);
        rows.ids = self.packed(ids, &rows)?;
        Ok(rows)
    }

    /// The values of an array `[batch, length]` at the real places of `rows`.
    pub fn packed(&self, name: &str, rows: &Rows) -> Result<Vec<u32>, ModelError> {
        let (shape, values) = self.integers(name, 2)?;
        if shape != [rows.lengths.len(), rows.length] {
            return Err(self.wrong(name, format!("[{}, {}]", rows.lengths.len(), rows.length)));
        }
        let id = |place: &usize| {
            u32::try_from(values[*place]).map_err(|_| self.wrong(name, "no negative numbers"))
        };
        rows.places.iter().map(id).collect()
    }

    /// Pictures `[n, 3, height, width]` as patch rows in raster order; `sizes` gives the real height and width of each in
    /// pixels, the rest is padding on the right and below.
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

/// Pictures `[n, channels, height, width]` → patches `[patches, channels · patch²]` in raster order, and their grids.
pub fn patch_rows(
    pixels: &Tensor,
    patch: usize,
    sizes: Option<&[(usize, usize)]>,
) -> Result<(Tensor, Vec<Grid>), ModelError> {
    let (count, channels, height, width) = pixels.dims4()?;
    let (mut rows, mut grids) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for i in 0..count {
        let (h, w) = sizes.and_then(|s| s.get(i).copied()).unwrap_or((height, width));
        let (h, w) = (h / patch, w / patch);
        if h == 0 || w == 0 || h * patch > height || w * patch > width {
            let expected = format!("at least {patch}x{patch} and at most {width}x{height} px");
            return Err(ModelError::input(
                "a picture",
                expected,
                format!("{w}x{h} patches"),
            ));
        }
        let picture = pixels
            .get(i)?
            .narrow(1, 0, h * patch)?
            .narrow(2, 0, w * patch)?
            .contiguous()?
            .reshape((channels, h, patch, w, patch))?
            .permute((1, 3, 0, 2, 4))? // [h, w, channels, patch, patch]
            .contiguous()?;
        rows.push(picture.reshape((h * w, channels * patch * patch))?);
        grids.push(Grid { t: 1, h, w });
    }
    Ok((Tensor::cat(&rows, 0)?, grids))
}

/// A padded batch without its padding: real places in row order, packed.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Packed ids.
    pub ids: Vec<u32>,
    /// Real tokens of each row.
    pub lengths: Vec<usize>,
    /// Where each packed token stands in the padded batch: `row · length + column`.
    pub places: Vec<usize>,
    /// Columns of the padded batch.
    pub length: usize,
}

impl Rows {
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
