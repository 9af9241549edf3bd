//! The tensors of a layer: a path of names over a [`Source`].
//!
//! The same layer code serves inference ([`Frozen`]: tensors of a file, converted once) and training ([`Trainable`]: candle
//! variables). Both record which names were asked for, so that a caller can report unused tensors of a file.

mod frozen;
mod read;
mod trainable;

use std::rc::Rc;
use std::sync::Arc;

use candle_core::Tensor;
use ocellus_kernels::gemm::{PackedB, Precision};
use ocellus_kernels::matrix::Matrix;
use ocellus_kernels::quant::{Bits, Format, PANEL, PackedQ};
use ocellus_weights::LowRank;

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
    /// Translation of our names to the checkpoint's, for the path after `named_from`.
    names: Names,
    named_from: usize,
    precision: Precision,
    /// The format that matrices are quantised to on the CPU, if any.
    format: Option<Format>,
    /// What matrices of few bits are computed in; `None` = 8-bit integers, with activations rounded to them.
    widened: Option<Precision>,
    /// Whether tensors are requested as states, which training changes without gradients.
    untrained: bool,
    /// An alternative full name for shared tensors.
    shared: fn(&str) -> Option<String>,
}

/// Pairs of our name and the checkpoint's, each one or several path components. An empty checkpoint name drops the component. The
/// first matching pair applies.
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
            widened: None,
            untrained: false,
            shared: |_| None,
        }
    }

    /// The same path, with matrices quantised to `format` for inference on the CPU.
    pub fn rounded(&self, format: Format) -> Self {
        Self {
            format: Some(format),
            ..self.clone()
        }
    }

    /// The same path, with matrices of few bits widened to this type, in which their products are computed: activations are not
    /// rounded to 8 bits then. What weights were rounded to stays.
    pub fn widened(&self, to: Precision) -> Self {
        Self {
            widened: Some(to),
            ..self.clone()
        }
    }

    /// The same path, with matrices quantised to no fewer bits than `least` has.
    pub fn at_least(&self, least: Format) -> Self {
        Self {
            format: self.format.map(|f| if f.bits < least.bits { least } else { f }),
            ..self.clone()
        }
    }

    /// The same path, with a translation from our layer names to the checkpoint's below it. Replaces an earlier translation.
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

    /// The same path for tensors that get no gradients: an EMA teacher's weights, queues.
    pub fn untrained(&self) -> Self {
        Self {
            untrained: true,
            ..self.clone()
        }
    }

    /// The same path with shared tensors: a tensor for whose full name `with` returns another name is loaded under that name.
    pub fn sharing(&self, with: fn(&str) -> Option<String>) -> Self {
        Self {
            shared: with,
            ..self.clone()
        }
    }

    /// The name under which the source is asked.
    fn full(&self, name: &str) -> String {
        let name = self.path(name);
        (self.shared)(&name).unwrap_or(name)
    }

    /// The tensor `name` under this prefix; errors give its full name.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        let name = self.full(name);
        match self.untrained {
            true => self.source.state(&name, shape),
            false => self.source.tensor(&name, shape),
        }
    }

    /// The matrix `name` under this prefix in its stored form, if the source offers it.
    pub(crate) fn stored(&self, name: &str, shape: [usize; 2]) -> Result<Option<Stored>, LoadError> {
        self.source.stored(&self.full(name), shape)
    }

    /// Copies a packed matrix from its file into memory.
    pub(crate) fn resident(&self, packed: &PackedQ) -> Arc<Matrix> {
        let matrix = Arc::new(match self.widened {
            None => Matrix::Quantized(packed.resident()),
            Some(precision) => wide(packed, precision),
        });
        self.source.release(&self.full("weight"));
        matrix
    }

    /// The table `name [rows, width]` under this prefix.
    pub fn table(&self, name: &str, shape: [usize; 2]) -> Result<Table, LoadError> {
        Ok(match self.stored(name, shape)? {
            Some(Stored::Rows(rows)) => Table::Stored(rows),
            Some(Stored::Packed(packed)) => Table::Packed(packed, self.low_rank(name)),
            None => Table::Tensor(self.tensor(name, &shape)?),
        })
    }

    /// The product that is added to the matrix `name` under this prefix.
    pub(crate) fn low_rank(&self, name: &str) -> Option<Arc<LowRank>> {
        self.source.low_rank(&self.full(name))
    }

    /// The input statistics, for matrices that are going to be quantised below 8 bits.
    fn measured(&self) -> Option<&Measured> {
        let few = self.format.is_some_and(|format| format.bits < Bits::Eight);
        self.source.measured().filter(|_| few)
    }

    /// The accumulator of input statistics for the matrix `weight`.
    pub(crate) fn columns(&self, inputs: usize) -> Option<Arc<Columns>> {
        let measured = self.measured()?;
        Some(measured.columns(self.full("weight"), inputs))
    }

    /// Packs the matrix `weight [outputs, inputs]`, whose rows `read(first row, into)` supplies, in the format of this path.
    pub(crate) fn pack(&self, shape: (usize, usize), read: impl Fn(usize, &mut [f32]) + Sync) -> Arc<Matrix> {
        // A matrix with fewer rows than a panel would be padded and not get smaller, so it is not quantised.
        let format = self.format.filter(|_| shape.0 >= PANEL);
        Arc::new(match format.filter(|_| self.measured().is_none()) {
            Some(format) => {
                let importance = self
                    .source
                    .importance(&self.full("weight"))
                    .filter(|i| i.len() == shape.1);
                let packed = PackedQ::quantize(format, shape, importance.as_deref(), read);
                match self.widened {
                    None => Matrix::Quantized(packed),
                    Some(precision) => wide(&packed, precision),
                }
            }
            None => Matrix::Dense(PackedB::from_rows(self.precision, shape, read)),
        })
    }

    /// As [`pack`](Self::pack), for a matrix stored in the checkpoint; with what remains to be added to it where the matrix keeps
    /// its stored form.
    pub(crate) fn pack_stored(
        &self,
        shape: (usize, usize),
        rows: &Rows,
    ) -> (Arc<Matrix>, Option<Arc<LowRank>>) {
        let read = |first: usize, into: &mut [f32]| rows.read(first, into);
        // Weights that are stored quantised keep their format unless another one is asked for.
        let mut beside = None;
        let own = match (self.format, self.widened) {
            (None, None) => rows.few_bits(shape.0).map(|packed| {
                beside = rows.low_rank().cloned();
                Matrix::Quantized(packed)
            }),
            (None, Some(precision)) if rows.is_quantised() => {
                Some(Matrix::Dense(PackedB::from_rows(precision, shape, read)))
            }
            _ => None,
        };
        let matrix = own.map_or_else(|| self.pack(shape, read), Arc::new);
        self.source.packed(&self.full("weight"), &matrix);
        (matrix, beside)
    }

    /// The `count` integers of `name` under this prefix.
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

/// The values of a packed matrix in a wider type.
fn wide(packed: &PackedQ, precision: Precision) -> Matrix {
    let (n, k) = (packed.n(), packed.k());
    Matrix::Dense(PackedB::from_rows(precision, (n, k), |first, into| {
        for (row, to) in (first..).zip(into.chunks_exact_mut(k.max(1))) {
            packed.row(row, to);
        }
    }))
}
