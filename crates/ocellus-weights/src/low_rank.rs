//! Products of two thin matrices, which fine-tuners keep beside a large one and add to it.

use crate::{Dtype, Result, View, WeightsError, f32_bytes};
use std::borrow::Cow;

/// `up [rows, rank] · down [rank, columns]` (Hu et al. 2021), for adding to a matrix `[rows, columns]`.
#[derive(Clone, PartialEq)]
pub struct LowRank {
    up: Vec<f32>,
    down: Vec<f32>,
    rank: usize,
}

impl LowRank {
    /// The product of `up [rows, rank]` and `down [rank, columns]`; `None` when their lengths do not divide so.
    pub fn new(up: Vec<f32>, down: Vec<f32>, rank: usize) -> Option<Self> {
        let fits = |values: &[f32]| !values.is_empty() && values.len().is_multiple_of(rank);
        (rank > 0 && fits(&up) && fits(&down)).then_some(Self { up, down, rank })
    }

    pub fn rows(&self) -> usize {
        self.up.len() / self.rank
    }

    pub fn columns(&self) -> usize {
        self.down.len() / self.rank
    }

    pub fn rank(&self) -> usize {
        self.rank
    }

    /// `[rows, rank]`.
    pub fn up(&self) -> &[f32] {
        &self.up
    }

    /// `[rank, columns]`.
    pub fn down(&self) -> &[f32] {
        &self.down
    }

    /// Adds the rows from `first` on to `into`, as many as it holds.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn add(&self, first: usize, into: &mut [f32]) {
        let (columns, rank) = (self.columns(), self.rank);
        for (row, into) in into.chunks_exact_mut(columns).enumerate() {
            let factors = &self.up[(first + row) * rank..][..rank];
            // Four at a time, so that sums are loaded and stored less often.
            let (fours, rest) = factors.as_chunks::<4>();
            let (wide, narrow) = self.down.split_at(fours.len() * 4 * columns);
            for (factor, down) in fours.iter().zip(wide.chunks_exact(4 * columns)) {
                let (a, down) = down.split_at(columns);
                let (b, down) = down.split_at(columns);
                let (c, d) = down.split_at(columns);
                let values = a.iter().zip(b).zip(c.iter().zip(d));
                for (to, ((a, b), (c, d))) in into.iter_mut().zip(values) {
                    *to += factor[0] * a + factor[1] * b + factor[2] * c + factor[3] * d;
                }
            }
            for (factor, down) in rest.iter().zip(narrow.chunks_exact(columns)) {
                into.iter_mut()
                    .zip(down)
                    .for_each(|(to, value)| *to += factor * value);
            }
        }
    }

    /// The sum with `view`, in f32. A tensor whose bytes are no numbers on their own, such as packed integers, stays what it is:
    /// who reads it has to add the product.
    pub(crate) fn added<'v>(&self, view: View<'v>) -> Result<View<'v>> {
        let whole = matches!(view.dtype, Dtype::F32 | Dtype::F16 | Dtype::Bf16) || view.dtype.is_quantised();
        if !whole {
            return Ok(view);
        }
        let (name, shape) = (view.name, view.shape.clone());
        let mut values = view.to_f32()?;
        if values.len() != self.rows() * self.columns() {
            return Err(WeightsError::LowRank {
                tensor: name.to_owned(),
                expected: shape,
                found: [self.rows(), self.columns()],
            });
        }
        self.add(0, &mut values);
        Ok(View {
            name,
            dtype: Dtype::F32,
            shape,
            bytes: Cow::Owned(f32_bytes(&values, Dtype::F32)?),
        })
    }
}

impl std::fmt::Debug for LowRank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LowRank({}x{}x{})", self.rows(), self.rank, self.columns())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_in_pieces_are_rows_of_the_whole_product(
            (rows, rank, columns) in (1usize..7, 1usize..11, 1usize..9), seed in 0u32..1000,
        ) {
            let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) % 17) as f32 - 8.0;
            let (up, down): (Vec<f32>, Vec<f32>) =
                ((0..rows * rank).map(value).collect(), (0..rank * columns).map(|i| value(i + 99)).collect());
            let product = LowRank::new(up.clone(), down.clone(), rank).unwrap();
            let mut whole = vec![0.5; rows * columns];
            for first in 0..rows {
                product.add(first, &mut whole[first * columns..(first + 1) * columns]);
            }
            for (at, found) in whole.iter().enumerate() {
                let (row, column) = (at / columns, at % columns);
                let expected: f32 = (0..rank).map(|k| up[row * rank + k] * down[k * columns + column]).sum();
                // Whole numbers: every order of the sum is exact.
                prop_assert_eq!(*found, expected + 0.5);
            }
        }
    }

    #[test]
    fn lengths_that_do_not_divide_are_no_product() {
        for (up, down, rank) in [(0, 4, 2), (4, 0, 2), (3, 4, 2), (4, 3, 2), (4, 4, 0)] {
            assert!(
                LowRank::new(vec![1.0; up], vec![1.0; down], rank).is_none(),
                "{up} {down} {rank}"
            );
        }
    }
}
