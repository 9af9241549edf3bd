//! A quantised weight matrix in panels.

use std::sync::Arc;

use half::f16;

use super::bytes::Bytes;
use super::format::{Bits, Format, PANEL};
use super::quantize::{Largest, Rounding};
use crate::isa::Isa;
use crate::memory::Memory;
use crate::parallel::{self, Shared};

/// A matrix `[n, k]` in the layout of its [`Format`].
#[derive(Clone, Debug)]
pub struct PackedQ {
    format: Format,
    n: usize,
    k: usize,
    unit: f32,
    bytes: Bytes,
}

/// Why bytes are not a valid packed matrix.
#[derive(Clone, PartialEq, Debug)]
pub enum PackedQError {
    Format(Format),
    Length { expected: Option<usize>, found: usize },
    Unit(f32),
}

impl std::fmt::Display for PackedQError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Format(format) => write!(f, "groups of {} weights cannot be computed with", format.group),
            Self::Length {
                expected: Some(expected),
                found,
            } => {
                write!(
                    f,
                    "packed weights should take {expected} bytes, there are {found}"
                )
            }
            Self::Length { expected: None, .. } => {
                f.write_str("packed weights of more bytes than memory has")
            }
            Self::Unit(unit) => write!(f, "the unit of packed weights is {unit}, not a power of two"),
        }
    }
}

impl std::error::Error for PackedQError {}

/// Up to [`PANEL`] rows of quantised values with scales and offsets, before packing, in row-major order.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// `[rows, k]`.
    pub values: Vec<u8>,
    /// `[rows, groups]`.
    pub scales: Vec<f32>,
    /// `[rows, groups]`; ignored with 8 bits.
    pub offsets: Vec<f32>,
}

impl PackedQ {
    /// Quantises the rows that `read(first row, into [rows, k])` supplies, panel by panel on all threads. `importance [k]` is the
    /// weight of errors in each column (the mean square of the activation there).
    ///
    /// # Panics
    /// When the format is not valid or `importance` has another length than `k`.
    pub fn quantize(
        format: Format,
        (n, k): (usize, usize),
        importance: Option<&[f32]>,
        read: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Self {
        if let Some(importance) = importance {
            assert_eq!(importance.len(), k, "quantize: importance is not [{k}]");
        }
        let unit = unit_for(format, largest(n, k, &read));
        let isa = Isa::detect();
        Self::build(format, (n, k), unit, |first, rows, panel| {
            let mut weights = vec![0.0; rows * k];
            read(first, &mut weights);
            panel.values.resize(rows * k, 0);
            let mut at = 0;
            for row in weights.chunks_exact(k.max(1)) {
                for start in (0..k).step_by(format.group) {
                    let group = start..k.min(start + format.group);
                    let importance = importance.map(|all| &all[group.clone()]);
                    let values = &mut panel.values[at..at + group.len()];
                    at += group.len();
                    let (scale, offset) = isa.run(Rounding {
                        bits: format.bits,
                        weights: &row[group],
                        importance,
                        unit,
                        values,
                    });
                    panel.scales.push(scale);
                    panel.offsets.push(offset);
                }
            }
        })
    }

    /// Packs values that are quantised already: `read(first row, rows, into)` fills one panel. Scales and offsets are rounded to
    /// f16 multiples of a unit that fits the largest magnitude among them, which `largest(first row, rows)` returns per panel.
    ///
    /// # Panics
    /// When the format is not valid, or a panel has other lengths than it should.
    pub fn from_values(
        format: Format,
        (n, k): (usize, usize),
        largest: impl Fn(usize, usize) -> f32 + Sync,
        read: impl Fn(usize, usize, &mut Panel) + Sync,
    ) -> Self {
        let unit = power_of_two_for(over_panels(n, largest));
        Self::build(format, (n, k), unit, read)
    }

    fn build(
        format: Format,
        (n, k): (usize, usize),
        unit: f32,
        read: impl Fn(usize, usize, &mut Panel) + Sync,
    ) -> Self {
        assert!(format.is_valid(), "quantize: {format:?}");
        let total = format.bytes(n, k).expect("a matrix that fits memory");
        let mut memory = Memory::lasting(total);
        let panel_bytes = format.groups(k) * format.group_bytes();
        let out = Shared::new(memory.as_mut_slice());
        parallel::for_each(n.div_ceil(PANEL), usize::MAX, |index| {
            let first = index * PANEL;
            let rows = PANEL.min(n - first);
            let mut panel = Panel::default();
            read(first, rows, &mut panel);
            let groups = rows * format.groups(k);
            assert!(
                panel.values.len() == rows * k
                    && panel.scales.len() == groups
                    && panel.offsets.len() == groups,
                "quantize: a panel of {rows} rows has {} values and {} scales",
                panel.values.len(),
                panel.scales.len()
            );
            // SAFETY: every panel has its own bytes.
            let to = unsafe { out.range(index * panel_bytes..(index + 1) * panel_bytes) };
            pack(format, (rows, k), unit, &panel, to);
        });
        memory.gather();
        Self {
            format,
            n,
            k,
            unit,
            bytes: Bytes(Arc::new(memory)),
        }
    }

    /// A matrix from bytes that were packed before (see [`PackedQ::bytes`]).
    ///
    /// # Errors
    /// A format that no kernel takes, or bytes of another length than the shape asks for.
    pub fn from_bytes(
        format: Format,
        (n, k): (usize, usize),
        unit: f32,
        bytes: Bytes,
    ) -> Result<Self, PackedQError> {
        if !format.is_valid() {
            return Err(PackedQError::Format(format));
        }
        if !(unit.is_normal() && unit > 0.0 && unit.to_bits() & 0x7f_ffff == 0) {
            return Err(PackedQError::Unit(unit));
        }
        let (expected, found) = (format.bytes(n, k), bytes.as_slice().len());
        if expected != Some(found) {
            return Err(PackedQError::Length { expected, found });
        }
        Ok(Self {
            format,
            n,
            k,
            unit,
            bytes,
        })
    }

    /// A copy in allocated memory, in large pages where the system has them: every token reads the whole matrix, which takes a
    /// fifth longer from the small pages of a mapped file.
    pub fn resident(&self) -> Self {
        const CHUNK: usize = 1 << 20;
        let from = self.bytes();
        let mut memory = Memory::lasting(from.len());
        let out = Shared::new(memory.as_mut_slice());
        parallel::for_each(from.len().div_ceil(CHUNK), usize::MAX, |index| {
            let part = index * CHUNK..from.len().min((index + 1) * CHUNK);
            // SAFETY: chunks are disjoint, inside memory of the same length.
            unsafe { out.range(part.clone()) }.copy_from_slice(&from[part]);
        });
        memory.gather();
        Self {
            bytes: Bytes(Arc::new(memory)),
            ..self.clone()
        }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Rows of the matrix: outputs.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Columns of the matrix: inputs.
    pub fn k(&self) -> usize {
        self.k
    }

    /// What scales and offsets are multiplied by.
    pub fn unit(&self) -> f32 {
        self.unit
    }

    /// All panels, one after another.
    pub fn bytes(&self) -> &[u8] {
        let total = self.format.bytes(self.n, self.k).unwrap_or(0);
        &self.bytes.as_slice()[..total]
    }

    /// The groups of a panel from group `group` on.
    pub(super) fn panel(&self, panel: usize, group: usize) -> &[u8] {
        let groups = self.format.groups(self.k);
        let size = self.format.group_bytes();
        &self.bytes()[(panel * groups + group) * size..(panel + 1) * groups * size]
    }

    /// Dequantises row `row` into `out [k]`.
    ///
    /// # Panics
    /// When there is no such row, or `out` has another length.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.n && out.len() == self.k);
        let (format, lane) = (self.format, row % PANEL);
        let panel = self.panel(row / PANEL, 0);
        for (out, bytes) in out
            .chunks_mut(format.group)
            .zip(panel.chunks_exact(format.group_bytes()))
        {
            let number = |at: usize| {
                let at = format.value_bytes() + 2 * (at + lane);
                f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32() * self.unit
            };
            let scale = number(0);
            let offset = if format.has_offsets() {
                number(PANEL)
            } else {
                -128.0 * scale
            };
            for (i, out) in out.iter_mut().enumerate() {
                *out = scale * f32::from(value(format.bits, bytes, lane, i)) + offset;
            }
        }
    }
}

/// The quantised value `i` of row `lane` in the bytes of a group.
pub(super) fn value(bits: Bits, bytes: &[u8], lane: usize, i: usize) -> u8 {
    let (quad, byte) = (i / 4, 4 * lane + i % 4);
    const QUAD: usize = 4 * PANEL;
    match bits {
        Bits::Eight => bytes[quad * QUAD + byte],
        Bits::Four => bytes[quad / 2 * QUAD + byte] >> (4 * (quad % 2)) & 15,
        Bits::Six => {
            let unit = &bytes[quad / 4 * 3 * QUAD..];
            let low = unit[quad % 4 / 2 * QUAD + byte] >> (4 * (quad % 2)) & 15;
            let high = unit[2 * QUAD + byte] >> (2 * (quad % 4)) & 3;
            low | high << 4
        }
    }
}

/// Packs one panel into bytes that are zero at first.
fn pack(format: Format, (rows, k): (usize, usize), unit: f32, panel: &Panel, out: &mut [u8]) {
    const QUAD: usize = 4 * PANEL;
    let groups = format.groups(k);
    for (g, out) in out.chunks_exact_mut(format.group_bytes()).enumerate() {
        let (values, numbers) = out.split_at_mut(format.value_bytes());
        for lane in 0..rows {
            let row = &panel.values[lane * k..(lane + 1) * k];
            let mut row = &row[g * format.group..k.min((g + 1) * format.group)];
            let mut filled = [0; 256];
            if row.len() < format.group {
                filled[..row.len()].copy_from_slice(row);
                row = &filled[..format.group];
            }
            let word = |quads: &[u8], quad: usize| u32::from_le_bytes(quads.as_chunks().0[quad]);
            let mut put = |at: usize, word: u32| {
                values[at * QUAD + 4 * lane..][..4].copy_from_slice(&word.to_le_bytes());
            };
            // Whole quads at a time: no value has more bits than its place, so shifts stay inside their bytes.
            match format.bits {
                Bits::Eight => {
                    for (quad, q) in row.as_chunks::<4>().0.iter().enumerate() {
                        put(quad, word(q, 0));
                    }
                }
                Bits::Four => {
                    for (pair, q) in row.as_chunks::<8>().0.iter().enumerate() {
                        put(pair, word(q, 0) | word(q, 1) << 4);
                    }
                }
                Bits::Six => {
                    for (unit, q) in row.as_chunks::<16>().0.iter().enumerate() {
                        let low = |quad: usize| word(q, quad) & 0x0f0f_0f0f;
                        let high = |quad: usize| (word(q, quad) >> 4 & 0x0303_0303) << (2 * quad);
                        put(3 * unit, low(0) | low(1) << 4);
                        put(3 * unit + 1, low(2) | low(3) << 4);
                        put(3 * unit + 2, high(0) | high(1) | high(2) | high(3));
                    }
                }
            }
            let mut put = |at: usize, value: f32| {
                let at = 2 * (at + lane);
                numbers[at..at + 2].copy_from_slice(&f16::from_f32(value / unit).to_le_bytes());
            };
            put(0, panel.scales[lane * groups + g]);
            if format.has_offsets() {
                put(PANEL, panel.offsets[lane * groups + g]);
            }
        }
    }
}

/// The largest magnitude of all weights that `read` supplies.
fn largest(n: usize, k: usize, read: &(impl Fn(usize, &mut [f32]) + Sync)) -> f32 {
    let isa = Isa::detect();
    over_panels(n, |first, rows| {
        let mut weights = vec![0.0; rows * k];
        read(first, &mut weights);
        isa.run(Largest(&weights))
    })
}

/// The maximum of `of(first row, rows)` over all panels.
fn over_panels(n: usize, of: impl Fn(usize, usize) -> f32 + Sync) -> f32 {
    let mut each = vec![0.0_f32; n.div_ceil(PANEL)];
    let out = Shared::new(&mut each);
    parallel::for_each(n.div_ceil(PANEL), usize::MAX, |index| {
        let first = index * PANEL;
        // SAFETY: every panel has its own place.
        unsafe { out.range(index..index + 1)[0] = of(first, PANEL.min(n - first)) };
    });
    each.into_iter().fold(0.0, f32::max)
}

/// The unit for weights of magnitude up to `largest`.
fn unit_for(format: Format, largest: f32) -> f32 {
    // An offset can be as large as the largest weight; with 8 bits only scales are stored.
    power_of_two_for(match format.bits {
        Bits::Eight => largest / 127.0,
        _ => 2.0 * largest,
    })
}

/// The power of two that scales `largest` to between 2^13 and 2^14, well inside f16.
fn power_of_two_for(largest: f32) -> f32 {
    if !(largest.is_finite() && largest > 0.0) {
        return 1.0;
    }
    let exponent = (largest.log2().floor() as i32 - 13).clamp(-126, 127);
    f32::from_bits(((exponent + 127) as u32) << 23)
}
