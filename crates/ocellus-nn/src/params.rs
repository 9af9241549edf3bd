//! Where a layer's tensors come from: a path of names over a [`Source`].
//!
//! The same layer code serves inference ([`Frozen`]: tensors of a file, converted once) and training ([`Trainable`]: candle
//! variables that a backward pass finds). Both record what was asked for, so that a caller can say which tensors of a
//! file no layer took.

mod frozen;
mod read;
mod trainable;

use std::rc::Rc;
use std::sync::Arc;

use candle_core::Tensor;
use ocellus_kernels::gemm::{PackedB, Precision};
use ocellus_kernels::matrix::Matrix;
use ocellus_kernels::quant::{Bits, Format, PANEL, PackedQ};
use ocellus_weights::Packing;

use crate::load_error::LoadError;
use crate::measured::{Columns, Measured};
use crate::rows::{Rows, Table};
use crate::source::Source;
use crate::stored::Stored;

pub use frozen::Frozen;
pub use trainable::Trainable;

/// A source, a name prefix, and the precision in which matrix products are computed on the CPU.
#[derive(Clone)]
pub struct Params {
    source: Rc<dyn Source>,
    prefix: String,
    /// Names of ours and of the checkpoint, for the part of the path behind `named_from`.
    names: Names,
    named_from: usize,
    precision: Precision,
    /// What matrices are rounded to on the CPU, where they are.
    format: Option<Format>,
    /// Tensors are asked for as states.
    untrained: bool,
    /// Another full name that a tensor is asked for under.
    shared: fn(&str) -> Option<String>,
}

/// Pairs of our name and the checkpoint's, each one or several components of a path; an empty name of the checkpoint's
/// leaves the component out. The first pair that fits at a component counts.
pub type Names = &'static [(&'static str, &'static str)];

impl Params {
    pub fn new(source: Rc<dyn Source>, precision: Precision) -> Self {
        Self {
            source,
            prefix: String::new(),
            names: &[],
            named_from: 0,
            precision,
            format: None,
            untrained: false,
            shared: |_| None,
        }
    }

    /// The same place, whose matrices are rounded to `format` for inference on the CPU.
    pub fn rounded(&self, format: Format) -> Self {
        Self {
            format: Some(format),
            ..self.clone()
        }
    }

    /// The same place, whose matrices are not rounded to fewer bits than those of `least`.
    pub fn at_least(&self, least: Format) -> Self {
        Self {
            format: self.format.map(|f| if f.bits < least.bits { least } else { f }),
            ..self.clone()
        }
    }

    /// The same place, below which layers' own names stand for the checkpoint's. Replaces names that were given above.
    pub fn named(&self, names: Names) -> Self {
        let prefix = self.path("");
        Self {
            names,
            named_from: prefix.len(),
            prefix,
            ..self.clone()
        }
    }

    /// The checkpoint's full name of `name` under this prefix.
    fn path(&self, name: &str) -> String {
        let (fixed, ours) = self.prefix.split_at(self.named_from);
        let whole = format!("{ours}{name}");
        let parts: Vec<&str> = whole.split('.').collect();
        let (mut theirs, mut at) = (Vec::with_capacity(parts.len()), 0);
        while at < parts.len() {
            let fits = |pair: &&(&str, &str)| {
                let mut ours = pair.0.split('.').enumerate();
                ours.all(|(i, part)| parts.get(at + i) == Some(&part))
            };
            match self.names.iter().find(fits) {
                Some((ours, name)) => {
                    theirs.extend(Some(*name).filter(|n| !n.is_empty()));
                    at += ours.split('.').count();
                }
                None => {
                    theirs.push(parts[at]);
                    at += 1;
                }
            }
        }
        format!("{fixed}{}", theirs.join("."))
    }

    /// The parameters under `name.`.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self {
            prefix: format!("{}{name}.", self.prefix),
            ..self.clone()
        }
    }

    /// The same place, whose tensors no gradient changes: a teacher's weights, a queue.
    pub fn untrained(&self) -> Self {
        Self {
            untrained: true,
            ..self.clone()
        }
    }

    /// The same place, where a tensor for whose full name `with` gives another is that other one: two parts of a model that
    /// share tensors.
    pub fn sharing(&self, with: fn(&str) -> Option<String>) -> Self {
        Self {
            shared: with,
            ..self.clone()
        }
    }

    /// The name that the source is asked for.
    fn full(&self, name: &str) -> String {
        let name = self.path(name);
        (self.shared)(&name).unwrap_or(name)
    }

    /// The tensor `name` under this prefix; an error names it in full.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        let name = self.full(name);
        match self.untrained {
            true => self.source.state(&name, shape),
            false => self.source.tensor(&name, shape),
        }
    }

    /// The matrix `name` under this prefix as it is stored, where the source gives it so.
    pub(crate) fn stored(&self, name: &str, shape: [usize; 2]) -> Result<Option<Stored>, LoadError> {
        self.source.stored(&self.full(name), shape)
    }

    /// A packed matrix `weight` of the source for products: out of its file, into memory.
    pub(crate) fn resident(&self, packed: &PackedQ) -> Arc<Matrix> {
        let matrix = Arc::new(Matrix::Quantized(packed.resident()));
        self.source.release(&self.full("weight"));
        matrix
    }

    /// The table `name [rows, width]` under this prefix.
    pub fn table(&self, name: &str, shape: [usize; 2]) -> Result<Table, LoadError> {
        Ok(match self.stored(name, shape)? {
            Some(Stored::Rows(rows)) => Table::Stored(rows),
            Some(Stored::Packed(packed)) => Table::Packed(packed),
            None => Table::Tensor(self.tensor(name, &shape)?),
        })
    }

    /// Where what goes into matrices here is measured: into those that will be rounded below 8 bits, and are not yet.
    fn measured(&self) -> Option<&Measured> {
        let few = self.format.is_some_and(|format| format.bits < Bits::Eight);
        self.source.measured().filter(|_| few)
    }

    /// Where what goes into the matrix `weight` is measured, under the name that it is packed by.
    pub(crate) fn columns(&self, inputs: usize) -> Option<Arc<Columns>> {
        let measured = self.measured()?;
        Some(measured.columns(self.full("weight"), inputs))
    }

    /// Packs the matrix `weight [outputs, inputs]`, whose rows `read(first row, into)` gives, at the width that is asked for
    /// here.
    pub(crate) fn pack(&self, shape: (usize, usize), read: impl Fn(usize, &mut [f32]) + Sync) -> Arc<Matrix> {
        // A panel of fewer rows would be filled up and no smaller when quantised: a head of two values keeps its own.
        let format = self.format.filter(|_| shape.0 >= PANEL);
        Arc::new(match format.filter(|_| self.measured().is_none()) {
            Some(format) => {
                let importance = self
                    .source
                    .importance(&self.full("weight"))
                    .filter(|i| i.len() == shape.1);
                Matrix::Quantized(PackedQ::quantize(format, shape, importance.as_deref(), read))
            }
            None => Matrix::Dense(PackedB::from_rows(self.precision, shape, read)),
        })
    }

    /// As [`pack`](Self::pack), of a matrix that stands in the checkpoint as it is packed.
    pub(crate) fn pack_stored(&self, shape: (usize, usize), rows: &Rows) -> Arc<Matrix> {
        // Where nothing else is asked for, quantised weights stay as they are.
        let own = match self.format {
            None => rows
                .few_bits(shape.0)
                .map(|packed| Arc::new(Matrix::Quantized(packed))),
            Some(_) => None,
        };
        let matrix = own.unwrap_or_else(|| self.pack(shape, |first, into| rows.read(first, into)));
        self.source.packed(&self.full("weight"), &matrix);
        matrix
    }

    /// Says how integers are packed that stand in the checkpoint for matrices, where they do.
    pub fn packed_as(&self, packing: Option<Packing>) -> Result<(), LoadError> {
        packing.map_or(Ok(()), |packing| self.source.packed_as(packing))
    }

    /// The `count` whole numbers of `name` under this prefix.
    pub fn integers(&self, name: &str, count: usize) -> Result<Vec<i64>, LoadError> {
        self.source.integers(&self.full(name), count)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.source.contains(&self.full(name))
    }

    pub fn trainable(&self) -> bool {
        self.source.trainable()
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }
}
