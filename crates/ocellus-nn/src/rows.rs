//! Rows of a stored matrix, read in pieces: weights are packed without a full f32 copy, and embedding tables stay in their file.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor};
use ocellus_kernels::quant::{Bits, Format, PackedQ, Panel};
use ocellus_weights::{Grouped, LowRank, QuantisedMatrix, Weights, WeightsError};

use crate::Result;

/// A matrix `[rows, width]` in the files of a checkpoint.
pub struct Rows {
    weights: Arc<Weights>,
    name: String,
    width: usize,
    kind: Kind,
    /// What is added to the rows.
    low_rank: Option<Arc<LowRank>>,
    /// Values read since the file's pages were last released.
    held: AtomicUsize,
}

enum Kind {
    /// A tensor in its file.
    Tensor,
    /// Values in memory, where the checkpoint assembles the tensor from others.
    Made(Vec<f32>),
    /// Codes with their scales, in tensors of their own.
    Quantised(QuantisedMatrix),
}

/// After this many values their file pages are released, since they compete for memory with the packed weights.
const HELD: usize = 1 << 24;

impl Rows {
    /// `name` must be a tensor of a floating-point type, or a quantised matrix, whose elements are rows of `width`.
    pub(crate) fn new(
        weights: Arc<Weights>,
        name: String,
        width: usize,
    ) -> std::result::Result<Self, WeightsError> {
        let kind = match weights.matrix(&name)? {
            Some(matrix) => Kind::Quantised(matrix),
            None => {
                let view = weights.without_low_rank(&name)?;
                match view.bytes {
                    Cow::Owned(_) if view.grouped(0..0).is_none() => Kind::Made(view.to_f32()?),
                    _ => {
                        view.read_f32(0, &mut [])?;
                        Kind::Tensor
                    }
                }
            }
        };
        Ok(Self {
            low_rank: weights.low_rank(&name).cloned(),
            weights,
            name,
            width,
            kind,
            held: AtomicUsize::new(0),
        })
    }

    /// What is added to the matrix beside its stored form.
    pub(crate) fn low_rank(&self) -> Option<&Arc<LowRank>> {
        self.low_rank.as_ref()
    }

    /// Whether the checkpoint stores it in few bits.
    pub(crate) fn is_quantised(&self) -> bool {
        let blocks = || {
            self.weights
                .without_low_rank(&self.name)
                .is_ok_and(|view| view.dtype.is_quantised())
        };
        matches!(self.kind, Kind::Quantised(_)) || blocks()
    }

    /// The matrix in its stored format, if that is quantised and the kernels have it; without what is added to it.
    pub(crate) fn few_bits(&self, rows: usize) -> Option<PackedQ> {
        if let Kind::Quantised(matrix) = &self.kind {
            return packed(matrix, (rows, self.width));
        }
        let view = self.weights.without_low_rank(&self.name).ok()?;
        let Grouped { group, bits, .. } = view.grouped(0..0)?;
        let bits = match bits {
            0..=4 => Bits::Four,
            5..=6 => Bits::Six,
            _ => Bits::Eight,
        };
        let format = Format { bits, group };
        if !format.is_valid() {
            return None;
        }
        let largest = |first, count| view.largest_number(first..first + count).unwrap_or(0.0);
        let packed = PackedQ::from_values(format, (rows, self.width), largest, |first, count, panel| {
            if let Some(part) = view.grouped(first..first + count) {
                (panel.values, panel.scales, panel.offsets) = (part.values, part.scales, part.offsets);
            }
        });
        self.release();
        Some(packed)
    }

    /// Reads rows starting at `first`, as many as `into` has room for.
    ///
    /// # Panics
    /// If the matrix has fewer rows.
    pub fn read(&self, first: usize, into: &mut [f32]) {
        self.read_stored(first, into);
        if let Some(product) = &self.low_rank {
            product.add(first, into);
        }
    }

    fn read_stored(&self, first: usize, into: &mut [f32]) {
        match &self.kind {
            Kind::Made(made) => {
                let start = first * self.width;
                return into.copy_from_slice(&made[start..start + into.len()]);
            }
            Kind::Quantised(matrix) => return matrix.read_f32(first, into),
            Kind::Tensor => {}
        }
        let read = self
            .weights
            .without_low_rank(&self.name)
            .and_then(|view| view.read_f32(first * self.width, into));
        read.expect("the tensor was there, with such elements, when its file was opened");
        if self.held.fetch_add(into.len(), Ordering::Relaxed) > HELD {
            self.held.store(0, Ordering::Relaxed);
            self.weights.release(&self.name);
        }
    }
}

impl Rows {
    /// Releases the pages of the file.
    pub(crate) fn release(&self) {
        match &self.kind {
            Kind::Quantised(matrix) => matrix.release(),
            _ => self.weights.release(&self.name),
        }
    }
}

/// The format in which the kernels hold the integers and groups of a quantised matrix, if they have one.
pub fn held(matrix: &QuantisedMatrix) -> Option<Format> {
    let bits = match matrix.bits()? {
        0..=4 => Bits::Four,
        5..=6 => Bits::Six,
        // Kernels have no offsets at 8 bits.
        8 if matrix.is_centred() => Bits::Eight,
        _ => return None,
    };
    // A group that is too long for the kernels becomes several groups with the same scale.
    let own = matrix.group().into_iter();
    let fits = |group: &usize| matrix.grouped(0..0, *group).is_some();
    let formats = own.chain([128, 64, 32, 16]).filter(fits);
    let mut formats = formats.map(|group| Format { bits, group });
    formats.find(|format| format.is_valid())
}

/// The matrix with its stored integers and scales, where the kernels have such groups and zeros.
fn packed(matrix: &QuantisedMatrix, shape: (usize, usize)) -> Option<PackedQ> {
    let format = held(matrix)?;
    let largest = Some(matrix.largest_number()).filter(|largest| largest.is_finite())?;
    let read = |first, count, panel: &mut Panel| {
        if let Some(part) = matrix.grouped(first..first + count, format.group) {
            (panel.values, panel.scales, panel.offsets) = (part.values, part.scales, part.offsets);
        }
    };
    Some(PackedQ::from_values(format, shape, |_, _| largest, read))
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.release();
    }
}

/// A table for row look-ups: a tensor, or rows left in the mapped checkpoint.
pub enum Table {
    Tensor(Tensor),
    Stored(Box<Rows>),
    /// With what is added to it.
    Packed(PackedQ, Option<Arc<LowRank>>),
}

impl Table {
    /// Looks up rows: `[index, width]`.
    pub fn rows(&self, index: &[u32]) -> Result<Tensor> {
        match self {
            Self::Tensor(table) => rows(table, index),
            Self::Stored(rows) => {
                let mut out = vec![0.0; index.len() * rows.width];
                for (to, row) in out.chunks_exact_mut(rows.width).zip(index) {
                    rows.read(*row as usize, to);
                }
                Tensor::from_vec(out, (index.len(), rows.width), &Device::Cpu)
            }
            Self::Packed(packed, added) => {
                let width = packed.k();
                let mut out = vec![0.0; index.len() * width];
                for (to, row) in out.chunks_exact_mut(width).zip(index) {
                    packed.row(*row as usize, to);
                    if let Some(product) = added {
                        product.add(*row as usize, to);
                    }
                }
                Tensor::from_vec(out, (index.len(), width), &Device::Cpu)
            }
        }
    }

    pub fn dtype(&self) -> DType {
        match self {
            Self::Tensor(table) => table.dtype(),
            Self::Stored(_) | Self::Packed(..) => DType::F32,
        }
    }

    pub fn device(&self) -> &Device {
        match self {
            Self::Tensor(table) => table.device(),
            Self::Stored(_) | Self::Packed(..) => &Device::Cpu,
        }
    }
}

/// Looks up rows of a table: `[index, width]`.
pub fn rows(table: &Tensor, index: &[u32]) -> Result<Tensor> {
    table.index_select(&Tensor::from_slice(index, index.len(), table.device())?, 0)
}
