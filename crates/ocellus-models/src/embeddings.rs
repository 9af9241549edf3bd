//! Inputs of a decoder: visual tokens, embedded prompts, and the features that some models add in later layers.

use candle_core::Tensor;

use crate::error::ModelError;

/// Rows of embeddings that a decoder reads.
#[derive(Clone, Debug)]
pub struct Embeddings {
    /// `[rows, width]`.
    pub rows: Tensor,
    /// `added[i] [rows, width]` is added to the output of decoder layer `i` (DeepStack, Meng et al. 2024). Empty in most models,
    /// and where every row would be zero.
    pub added: Vec<Tensor>,
}

impl From<Tensor> for Embeddings {
    fn from(rows: Tensor) -> Self {
        Self {
            rows,
            added: Vec::new(),
        }
    }
}

impl Embeddings {
    /// Number of rows.
    pub fn count(&self) -> Result<usize, ModelError> {
        Ok(self.rows.dim(0)?)
    }

    /// `count` rows from row `first`.
    pub fn narrow(&self, first: usize, count: usize) -> Result<Self, ModelError> {
        self.each(|t| t.narrow(0, first, count)?.contiguous())
    }

    /// The rows `index`, in this order.
    pub fn select(&self, index: &Tensor) -> Result<Self, ModelError> {
        self.each(|t| t.index_select(index, 0))
    }

    fn each(&self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Self, ModelError> {
        Ok(Self {
            rows: f(&self.rows)?,
            added: self.added.iter().map(&f).collect::<Result<_, _>>()?,
        })
    }

    /// Concatenates the rows of all parts. Where one part has added features and another has not, the other gets zeros.
    pub fn cat(parts: &[Self]) -> Result<Self, ModelError> {
        if let [only] = parts {
            return Ok(only.clone());
        }
        let layers = parts.iter().map(|p| p.added.len()).max().unwrap_or(0);
        let added = |layer: usize| {
            let part = |p: &Self| match p.added.get(layer) {
                Some(added) => Ok(added.clone()),
                None => p.rows.zeros_like(),
            };
            let parts: Vec<Tensor> = parts.iter().map(part).collect::<Result<_, _>>()?;
            Tensor::cat(&parts, 0)
        };
        let rows: Vec<&Tensor> = parts.iter().map(|p| &p.rows).collect();
        Ok(Self {
            rows: Tensor::cat(&rows, 0)?,
            added: (0..layers).map(added).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn rows(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, (values.len(), 1), &Device::Cpu).unwrap()
    }

    fn flat(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn parts_without_additions_add_zero() {
        let seen = Embeddings {
            rows: rows(&[1.0, 2.0]),
            added: vec![rows(&[10.0, 20.0])],
        };
        let words = Embeddings::from(rows(&[3.0]));
        let all = Embeddings::cat(&[words.clone(), seen.clone(), words]).unwrap();
        assert_eq!(flat(&all.rows), [3.0, 1.0, 2.0, 3.0]);
        assert_eq!(flat(&all.added[0]), [0.0, 10.0, 20.0, 0.0]);
        let part = all.narrow(1, 2).unwrap();
        assert_eq!(
            (flat(&part.rows), flat(&part.added[0])),
            (flat(&seen.rows), flat(&seen.added[0]))
        );
        assert_eq!(part.count().unwrap(), 2);
    }
}
