//! Tensors for inference.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_kernels::matrix::Matrix;
use ocellus_weights::{LowRank, Weights};

use super::read::{beside, checked, finish, fitting, read, read_integers};
use crate::load_error::LoadError;
use crate::measured::Measured;
use crate::rows::Rows;
use crate::source::Source;
use crate::stored::{self, Kept, Stored};

/// Tensors of a checkpoint for inference, on one device in one type.
pub struct Frozen {
    weights: Arc<Weights>,
    device: Device,
    dtype: DType,
    taken: RefCell<BTreeSet<String>>,
    importance: BTreeMap<String, Arc<[f32]>>,
    measured: Option<Arc<Measured>>,
    /// Packed matrices, if the caller asked to keep them.
    kept: Option<RefCell<Vec<Kept>>>,
}

impl Frozen {
    /// The same source, which quantises with the given column importance (see [`Source::importance`](crate::Source::importance))
    /// and keeps what it packs for [`kept`](Self::kept).
    pub fn keeping(self, importance: BTreeMap<String, Arc<[f32]>>) -> Self {
        Self {
            importance,
            kept: Some(RefCell::default()),
            ..self
        }
    }

    /// The same source, whose matrices record input statistics in `measured` instead of being quantised below 8 bits.
    pub fn measuring(self, measured: Arc<Measured>) -> Self {
        Self {
            measured: Some(measured),
            ..self
        }
    }

    /// All matrices packed so far.
    pub fn kept(&self) -> Vec<Kept> {
        self.kept
            .as_ref()
            .map(|kept| kept.borrow().clone())
            .unwrap_or_default()
    }

    pub fn new(weights: Arc<Weights>, device: Device, dtype: DType) -> Self {
        Self {
            weights,
            device,
            dtype,
            taken: RefCell::default(),
            importance: BTreeMap::new(),
            measured: None,
            kept: None,
        }
    }

    /// Records that a tensor is used; of a quantised matrix, the empty bias beside it as well.
    fn take(&self, name: &str) {
        let mut taken = self.taken.borrow_mut();
        taken.insert(name.to_owned());
        taken.extend(stored::empty_bias(&self.weights, name));
    }

    /// Fails when a tensor of the checkpoint was not used, except those for which `ignored` returns true.
    pub fn finish(&self, ignored: impl Fn(&str) -> bool) -> Result<(), LoadError> {
        finish(&self.weights, &self.taken.borrow(), ignored)
    }

    /// Tensors that no layer took, in modules that the model does not have.
    pub fn beside(&self) -> Vec<String> {
        beside(&self.weights, &self.taken.borrow())
    }
}

impl Source for Frozen {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        let tensor = read(&self.weights, name, shape, &self.device)?.to_dtype(self.dtype)?;
        self.take(name);
        Ok(tensor)
    }

    fn stored(&self, name: &str, shape: [usize; 2]) -> Result<Option<Stored>, LoadError> {
        if !self.device.is_cpu() || self.dtype != DType::F32 {
            return Ok(None);
        }
        fitting(&self.weights, name, &shape)?;
        if let Some(packed) = stored::packed(&self.weights, name, shape)? {
            self.taken.borrow_mut().insert(name.to_owned());
            return Ok(Some(Stored::Packed(packed)));
        }
        checked(&self.weights, name, &shape)?;
        self.take(name);
        let rows = Rows::new(self.weights.clone(), name.to_owned(), shape[1])?;
        Ok(Some(Stored::Rows(Box::new(rows))))
    }

    fn low_rank(&self, name: &str) -> Option<Arc<LowRank>> {
        self.weights.low_rank(name).cloned()
    }

    fn release(&self, name: &str) {
        self.weights.release(name);
    }

    fn packed(&self, name: &str, matrix: &Arc<Matrix>) {
        if let Some(kept) = &self.kept {
            kept.borrow_mut().push((name.to_owned(), matrix.clone()));
        }
    }

    fn importance(&self, name: &str) -> Option<Arc<[f32]>> {
        self.importance.get(name).cloned()
    }

    fn measured(&self) -> Option<&Measured> {
        self.measured.as_deref()
    }

    fn integers(&self, name: &str, count: usize) -> Result<Vec<i64>, LoadError> {
        let values = read_integers(&self.weights, name, count)?;
        self.taken.borrow_mut().insert(name.to_owned());
        Ok(values)
    }

    fn contains(&self, name: &str) -> bool {
        self.weights.contains(name)
    }

    fn trainable(&self) -> bool {
        false
    }
}
