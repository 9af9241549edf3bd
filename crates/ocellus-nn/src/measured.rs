//! Importance of matrix columns for quantisation: the mean square of every input column, collected while a model runs.
//!
//! An error in a weight changes an output in proportion to its input, so quantisation may put larger errors where inputs are
//! small. This is the diagonal of the Hessian in Frantar et al. 2022 (section 3.1).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;

use crate::{Result, ops};

/// Statistics of matrix inputs, by the matrices' names in the checkpoint.
#[derive(Debug, Default)]
pub struct Measured(Mutex<BTreeMap<String, Arc<Columns>>>);

impl Measured {
    /// The accumulator for the `inputs` columns of the matrix `name`. Layers that share a matrix share it.
    pub(crate) fn columns(&self, name: String, inputs: usize) -> Arc<Columns> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let columns = all.entry(name).or_insert_with(|| Arc::new(Columns::new(inputs)));
        columns.clone()
    }

    /// The mean square of every column. A matrix without inputs, or with a non-finite mean, is left out.
    pub fn importance(&self) -> BTreeMap<String, Arc<[f32]>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all
            .iter()
            .filter_map(|(name, columns)| Some((name.clone(), columns.mean_squares()?)));
        known.collect()
    }

    /// The largest number of rows that any matrix received.
    pub fn rows(&self) -> u64 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|columns| columns.rows()).max().unwrap_or(0)
    }
}

/// Accumulated inputs of one matrix.
#[derive(Debug)]
pub(crate) struct Columns(Mutex<Sums>);

/// In f64: sums over millions of rows must not lose small terms.
#[derive(Debug)]
struct Sums {
    rows: u64,
    squares: Vec<f64>,
}

impl Columns {
    fn new(inputs: usize) -> Self {
        Self(Mutex::new(Sums {
            rows: 0,
            squares: vec![0.0; inputs],
        }))
    }

    /// Adds the rows of `x [rows, inputs]`.
    pub fn add(&self, x: &Tensor) -> Result<()> {
        let (rows, inputs) = x.dims2()?;
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sums.squares.len() != inputs {
            candle_core::bail!("{} columns are measured, not {inputs}", sums.squares.len());
        }
        sums.rows += rows as u64;
        ops::with_slice(x, |x| {
            for row in x.chunks_exact(inputs.max(1)) {
                let squares = sums.squares.iter_mut().zip(row);
                squares.for_each(|(sum, x)| *sum += f64::from(*x) * f64::from(*x));
            }
        })
    }

    fn rows(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rows
    }

    fn mean_squares(&self) -> Option<Arc<[f32]>> {
        let sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mean = |sum: &f64| (sum / sums.rows as f64) as f32;
        let means: Arc<[f32]> = sums.squares.iter().map(mean).collect();
        (sums.rows > 0 && means.iter().all(|mean| mean.is_finite())).then_some(means)
    }
}
