//! A quantised matrix, opened: codes in the file, what a code means, and what it is multiplied by.

use super::codes::Codes;
use super::parts::Part;
use crate::Grouped;
use std::ops::Range;

/// A matrix `[outputs, inputs]` of which a checkpoint keeps a few bits a weight; the codes stay in their file.
pub struct QuantisedMatrix {
    pub(super) shape: [usize; 2],
    pub(super) data: Part,
    pub(super) codes: Codes,
    pub(super) meaning: Meaning,
    pub(super) groups: Groups,
    /// By group; see [`Groups::run`].
    pub(super) scales: Vec<f32>,
    /// What every scale is multiplied by after it was applied.
    pub(super) unit: f32,
}

/// What a code stands for before it is scaled.
pub(super) enum Meaning {
    /// A whole number of this many bits, less the zero of its group.
    Integers { bits: u8, zeros: Zeros },
    /// A whole number of this many bits, which is scaled; then the offset of its group is added.
    Offsets { bits: u8, offsets: Vec<f32> },
    /// The value at the code's place.
    Table(Box<[f32; 256]>),
}

pub(super) enum Zeros {
    All(u8),
    /// By group.
    Each(Vec<f32>),
}

/// Which weights share a scale.
pub(super) enum Groups {
    /// Blocks of `rows` by `cols`; the last ones of a matrix may be smaller.
    Blocks { rows: usize, cols: usize },
    /// Runs of this many weights, row after row.
    Flat(usize),
    /// The group of every input, one of `count`, for each output.
    Scattered { index: Vec<u32>, count: usize },
}

impl Groups {
    /// One scale for each output.
    pub(super) const ROWS: Self = Self::Blocks {
        rows: 1,
        cols: usize::MAX,
    };

    /// How many groups a matrix has.
    pub(super) fn count(&self, [outputs, inputs]: [usize; 2]) -> Option<usize> {
        match self {
            Self::Blocks { rows, cols } => outputs.div_ceil(*rows).checked_mul(inputs.div_ceil(*cols)),
            Self::Flat(run) => Some(outputs.checked_mul(inputs)?.div_ceil(*run)),
            Self::Scattered { count, .. } => outputs.checked_mul(*count),
        }
    }

    /// The group of a weight, and how many inputs from this one on are surely in it.
    fn run(&self, output: usize, input: usize, inputs: usize) -> (usize, usize) {
        match self {
            Self::Blocks { rows, cols } => {
                let group = output / rows * inputs.div_ceil(*cols) + input / cols;
                (group, cols - input % cols)
            }
            Self::Flat(run) => {
                let at = output * inputs + input;
                (at / run, run - at % run)
            }
            Self::Scattered { index, count } => (output * count + index[input] as usize, 1),
        }
    }
}

impl QuantisedMatrix {
    /// The same, if its codes and numbers are as many as its shape asks for.
    pub(crate) fn checked(self) -> Result<Self, String> {
        let count = self.groups.count(self.shape);
        let numbers = match &self.meaning {
            Meaning::Integers {
                zeros: Zeros::Each(each),
                ..
            }
            | Meaning::Offsets { offsets: each, .. } => each.len(),
            _ => self.scales.len(),
        };
        let bytes = self
            .codes
            .bytes(self.shape)
            .filter(|bytes| *bytes <= self.data.bytes().len());
        match bytes.is_some() && count == Some(self.scales.len()) && count == Some(numbers) {
            true => Ok(self),
            false => Err(format!("its tensors do not make a matrix {:?}", self.shape)),
        }
    }

    /// `[outputs, inputs]`.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// Bits of a value, where weights are whole numbers that are scaled.
    pub fn bits(&self) -> Option<u8> {
        match self.meaning {
            Meaning::Integers { bits, .. } | Meaning::Offsets { bits, .. } => Some(bits),
            Meaning::Table(_) => None,
        }
    }

    /// Inputs that share scale and zero, where those are runs of neighbours.
    pub fn group(&self) -> Option<usize> {
        match self.groups {
            Groups::Blocks { cols, .. } => Some(cols.min(self.shape[1])),
            _ => None,
        }
    }

    /// Whether every zero is the middle of the values.
    pub fn is_centred(&self) -> bool {
        match &self.meaning {
            Meaning::Integers { bits, zeros } => {
                let middle = 1 << (bits - 1);
                match zeros {
                    Zeros::All(zero) => *zero == middle,
                    Zeros::Each(zeros) => zeros.iter().all(|zero| *zero == f32::from(middle)),
                }
            }
            _ => false,
        }
    }

    /// Scale and offset of a group.
    fn numbers(&self, group: usize) -> (f32, f32) {
        let scale = self.scales[group] * self.unit;
        match &self.meaning {
            Meaning::Integers { zeros, .. } => match zeros {
                Zeros::All(zero) => (scale, -f32::from(*zero) * scale),
                Zeros::Each(zeros) => (scale, -zeros[group] * scale),
            },
            Meaning::Offsets { offsets, .. } => (scale, offsets[group]),
            Meaning::Table(_) => (scale, 0.0),
        }
    }

    /// Outputs `rows` in groups of `group` inputs each; nothing unless weights are whole numbers and `group` divides the matrix's
    /// own, or one group is all there is.
    ///
    /// # Panics
    /// When there are no such outputs.
    pub fn grouped(&self, rows: Range<usize>, group: usize) -> Option<Grouped> {
        let (bits, inputs) = (self.bits()?, self.shape[1]);
        let own = self.group().filter(|_| group > 0)?;
        if own < inputs && !own.is_multiple_of(group) {
            return None;
        }
        let starts = (0..inputs).step_by(group);
        let each = rows
            .clone()
            .flat_map(|row| starts.clone().map(move |start| (row, start)));
        let (scales, offsets) = each
            .map(|(row, start)| self.numbers(self.groups.run(row, start, inputs).0))
            .unzip();
        Some(Grouped {
            rows: rows.len(),
            cols: inputs,
            group,
            bits,
            values: self.codes.unpack(self.data.bytes(), self.shape, rows),
            scales,
            offsets,
        })
    }

    /// The largest scale or offset in size of all of [`grouped`](Self::grouped).
    pub fn largest_number(&self) -> f32 {
        let numbers = (0..self.scales.len()).map(|group| self.numbers(group));
        numbers.fold(0.0, |most, (scale, offset)| {
            most.max(scale.abs()).max(offset.abs())
        })
    }

    /// Outputs from `first` on, as many as `into` holds: what the codes stand for, in f32.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn read_f32(&self, first: usize, into: &mut [f32]) {
        let inputs = self.shape[1];
        let rows = first..first + into.len() / inputs;
        let codes = self.codes.unpack(self.data.bytes(), self.shape, rows);
        let rows = into.chunks_exact_mut(inputs).zip(codes.chunks_exact(inputs));
        for (row, (to, codes)) in (first..).zip(rows) {
            let mut at = 0;
            while at < inputs {
                let (group, run) = self.groups.run(row, at, inputs);
                let end = inputs.min(at.saturating_add(run));
                self.scaled(group, &codes[at..end], &mut to[at..end]);
                at = end;
            }
        }
    }

    /// What codes of one group stand for.
    fn scaled(&self, group: usize, codes: &[u8], to: &mut [f32]) {
        let (scale, unit) = (self.scales[group], self.unit);
        let both = to.iter_mut().zip(codes);
        match &self.meaning {
            Meaning::Integers { zeros, .. } => {
                let zero = match zeros {
                    Zeros::All(zero) => f32::from(*zero),
                    Zeros::Each(zeros) => zeros[group],
                };
                both.for_each(|(to, code)| *to = (f32::from(*code) - zero) * scale * unit);
            }
            Meaning::Offsets { offsets, .. } => {
                let offset = offsets[group];
                both.for_each(|(to, code)| *to = f32::from(*code) * scale + offset);
            }
            Meaning::Table(table) => both.for_each(|(to, code)| *to = table[usize::from(*code)] * scale),
        }
    }

    /// Says that the codes were taken over and need not stay in memory.
    pub fn release(&self) {
        self.data.release();
    }
}
