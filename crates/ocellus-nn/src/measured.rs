//! How much the inputs of matrices count: the mean square of every column that goes into them, gathered while a model runs.
//!
//! An error in a weight changes an output by as much as its input is large, so that quantisation may spend its error
//! where inputs are small. This is the diagonal of what Frantar et al. 2022 (section 3.1) round by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;

use crate::{Result, ops};

/// What went into matrices, by their names in the checkpoint.
#[derive(Debug, Default)]
pub struct Measured(Mutex<BTreeMap<String, Arc<Columns>>>);

impl Measured {
    /// Where the `inputs` columns of the matrix `name` are added up. Layers that share a matrix share its place.
    pub(crate) fn columns(&self, name: String, inputs: usize) -> Arc<Columns> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let columns = all.entry(name).or_insert_with(|| Arc::new(Columns::new(inputs)));
        columns.clone()
    }

    /// The mean square of every column. Of a matrix that saw nothing, or something that is no number, nothing is known.
    pub fn importance(&self) -> BTreeMap<String, Arc<[f32]>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all
            .iter()
            .filter_map(|(name, columns)| Some((name.clone(), columns.mean_squares()?)));
        known.collect()
    }

    /// Rows that went into the matrix that saw most.
    pub fn rows(&self) -> u64 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|columns| columns.rows()).max().unwrap_or(0)
    }
}

/// What went into one matrix.
#[derive(Debug)]
pub(crate) struct Columns(Mutex<Sums>);

/// In f64: sums of millions of rows must not lose the small ones.
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
