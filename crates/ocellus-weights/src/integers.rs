//! Matrices of small integers packed into 32-bit words, beside scales and zeros that groups of them share.
//!
//! ```text
//! tensor  | words along inputs                  | words along outputs
//! values  | i32 [inputs / n, outputs]           | i32 [inputs, outputs / n]
//! zeros   | i32 [groups, outputs / n]           | i32 [groups, outputs / n]
//! scales  | f16 [groups, outputs]               | f16 [groups, outputs]
//! groups  | i32 [inputs], or none               | none
//! ```
//!
//! A word holds `n = 32 / bits` integers. Words along inputs hold neighbours, the first in the lowest bits; words along outputs
//! hold outputs 0, 2, 4, 6, 1, 3, 5, 7 from the lowest bits on, in their zeros as well. A weight is `scale * (value - zero)`.

use crate::{Dtype, Grouped, Result, View, Weights, WeightsError};
use std::ops::Range;
use std::sync::Arc;

/// Along which axis of a matrix the integers of a word lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordAxis {
    Inputs,
    Outputs,
}

/// How the integers of matrices are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    pub words: WordAxis,
    /// Bits of a value: 4, or along inputs 8.
    pub bits: u8,
    /// Inputs that share scale and zero; `None` where all of them do.
    pub group: Option<usize>,
    /// Whether zeros are stored less one.
    pub zeros_less_one: bool,
}

/// Names of the tensors of one matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegerNames {
    pub values: String,
    pub zeros: String,
    pub scales: String,
    /// The group of every input.
    pub groups: Option<String>,
}

/// One matrix `[outputs, inputs]`, checked; its values stay in the file.
pub struct Integers {
    weights: Arc<Weights>,
    names: IntegerNames,
    packing: Packing,
    outputs: usize,
    inputs: usize,
    /// `[groups, outputs]`.
    zeros: Vec<u8>,
    scales: Vec<f32>,
    /// The group of every input, where groups are no runs of neighbours.
    scattered: Option<Vec<usize>>,
}

/// In which place of a word along outputs each of its eight outputs stands.
const PLACE: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

impl Packing {
    fn per_word(self) -> usize {
        32 / usize::from(self.bits)
    }

    /// How far the integer `at` of the outputs of a row of words is shifted.
    fn shift(self, at: usize) -> usize {
        let within = at % self.per_word();
        usize::from(self.bits)
            * match self.words {
                WordAxis::Inputs => within,
                WordAxis::Outputs => PLACE[within],
            }
    }

    /// The integer that a word holds at `shift`.
    fn value(self, word: u32, shift: usize) -> u8 {
        // At most 8 bits are left.
        ((word >> shift) & ((1 << self.bits) - 1)) as u8
    }
}

impl Integers {
    /// The matrix of these tensors, which must be `shape = [outputs, inputs]`.
    ///
    /// # Errors
    /// A tensor that is missing, of another type or shape than these sizes ask for, a group that is not there, a scale that is
    /// not finite, a packing that is not read.
    pub fn open(
        weights: Arc<Weights>,
        names: IntegerNames,
        shape: [usize; 2],
        packing: Packing,
    ) -> Result<Self> {
        let [outputs, inputs] = shape;
        let wrong = |reason: String| WeightsError::Integers {
            tensor: names.values.clone(),
            reason,
        };
        match (packing.words, packing.bits) {
            (WordAxis::Inputs, 4 | 8) | (WordAxis::Outputs, 4) => {}
            (_, bits) => {
                return Err(wrong(format!(
                    "integers of {bits} bits are not read in this order"
                )));
            }
        }
        let n = packing.per_word();
        let along_inputs = packing.words == WordAxis::Inputs;
        if !outputs.is_multiple_of(n) || (along_inputs && !inputs.is_multiple_of(n)) || inputs == 0 {
            return Err(wrong(format!(
                "a matrix of {outputs} outputs and {inputs} inputs does not fill words of {n} integers"
            )));
        }
        let group = packing.group.unwrap_or(inputs);
        if group == 0 {
            return Err(wrong("its groups have no inputs".to_owned()));
        }
        let groups = inputs.div_ceil(group);
        let values = match packing.words {
            WordAxis::Inputs => [inputs / n, outputs],
            WordAxis::Outputs => [inputs, outputs / n],
        };
        checked(&weights, &names.values, Some(Dtype::I32), &values)?;
        let zeros = checked(&weights, &names.zeros, Some(Dtype::I32), &[groups, outputs / n])?;
        let zeros = unpacked_zeros(packing, &zeros.bytes, outputs);
        let scales = checked(&weights, &names.scales, None, &[groups, outputs])?.to_f32()?;
        if let Some(at) = scales.iter().position(|scale| !scale.is_finite()) {
            return Err(wrong(format!("scale {at} of `{}` is not finite", names.scales)));
        }
        let scattered = match &names.groups {
            None => None,
            Some(name) => {
                let index = checked(&weights, name, Some(Dtype::I32), &[inputs])?.to_i64()?;
                let known = |at: &i64| usize::try_from(*at).ok().filter(|at| *at < groups);
                if let Some(group) = index.iter().find(|at| known(at).is_none()) {
                    return Err(wrong(format!(
                        "`{name}` names group {group}, and there are {groups}"
                    )));
                }
                let index: Vec<usize> = index.iter().filter_map(known).collect();
                let in_order = index.iter().enumerate().all(|(at, g)| *g == at / group);
                (!in_order).then_some(index)
            }
        };
        Ok(Self {
            weights,
            names,
            packing,
            outputs,
            inputs,
            zeros,
            scales,
            scattered,
        })
    }

    /// Bits of a value.
    pub fn bits(&self) -> u8 {
        self.packing.bits
    }

    /// Inputs that share scale and zero, where those are runs of neighbours.
    pub fn group(&self) -> Option<usize> {
        let group = self.packing.group.unwrap_or(self.inputs).min(self.inputs);
        self.scattered.is_none().then_some(group)
    }

    /// Whether every zero is the middle of the values.
    pub fn is_centred(&self) -> bool {
        let middle = 1 << (self.packing.bits - 1);
        self.zeros.iter().all(|zero| *zero == middle)
    }

    /// Outputs `rows` in groups of `group` inputs each, exactly; nothing unless `group` divides the matrix's own, or one group
    /// is all there is.
    ///
    /// # Panics
    /// When there are no such outputs.
    pub fn grouped(&self, rows: Range<usize>, group: usize) -> Option<Grouped> {
        let own = self.group().filter(|_| group > 0)?;
        if own < self.inputs && !own.is_multiple_of(group) {
            return None;
        }
        let groups = self.inputs.div_ceil(group);
        let count = rows.len();
        let (mut scales, mut offsets) = (
            Vec::with_capacity(count * groups),
            Vec::with_capacity(count * groups),
        );
        for row in rows.clone() {
            for part in 0..groups {
                let at = part * group / own * self.outputs + row;
                scales.push(self.scales[at]);
                offsets.push(-f32::from(self.zeros[at]) * self.scales[at]);
            }
        }
        Some(Grouped {
            rows: count,
            cols: self.inputs,
            group,
            bits: self.packing.bits,
            values: self.values(rows),
            scales,
            offsets,
        })
    }

    /// The largest scale or offset in size of all of [`grouped`](Self::grouped).
    pub fn largest_number(&self) -> f32 {
        let numbers = self.scales.iter().zip(&self.zeros);
        let sizes = numbers.map(|(scale, zero)| scale.abs() * f32::from(*zero).max(1.0));
        sizes.fold(0.0, f32::max)
    }

    /// Outputs from `first` on, as many as `into` holds: what the integers stand for, exactly.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn read_f32(&self, first: usize, into: &mut [f32]) {
        let values = self.values(first..first + into.len() / self.inputs);
        let own = self.packing.group.unwrap_or(self.inputs);
        let rows = into
            .chunks_exact_mut(self.inputs)
            .zip(values.chunks_exact(self.inputs));
        for (row, (to, values)) in (first..).zip(rows) {
            for (at, (to, value)) in to.iter_mut().zip(values).enumerate() {
                let group = self.scattered.as_ref().map_or(at / own, |index| index[at]);
                let group = group * self.outputs + row;
                *to = self.scales[group] * (f32::from(*value) - f32::from(self.zeros[group]));
            }
        }
    }

    /// Says that the values were taken over and need not stay in memory.
    pub fn release(&self) {
        self.weights.release(&self.names.values);
    }

    /// The integers of some outputs, `[rows, inputs]`.
    fn values(&self, rows: Range<usize>) -> Vec<u8> {
        let view = self.weights.view(&self.names.values);
        let view = view.expect("the tensor was there when the matrix was opened");
        let (words, _) = view.bytes.as_chunks::<4>();
        let (packing, n) = (self.packing, self.packing.per_word());
        let mut out = vec![0; rows.len() * self.inputs];
        match packing.words {
            WordAxis::Inputs => {
                for (block, words) in words.chunks_exact(self.outputs).enumerate() {
                    for (row, word) in words[rows.clone()].iter().enumerate() {
                        let word = u32::from_le_bytes(*word);
                        let to = &mut out[row * self.inputs + block * n..][..n];
                        for (at, to) in to.iter_mut().enumerate() {
                            *to = packing.value(word, packing.shift(at));
                        }
                    }
                }
            }
            WordAxis::Outputs => {
                for (input, words) in words.chunks_exact(self.outputs / n).enumerate() {
                    for (at, row) in rows.clone().enumerate() {
                        let word = u32::from_le_bytes(words[row / n]);
                        out[at * self.inputs + input] = packing.value(word, packing.shift(row));
                    }
                }
            }
        }
        out
    }
}

/// Zeros `[groups, outputs]` of words `[groups, outputs / n]`.
fn unpacked_zeros(packing: Packing, bytes: &[u8], outputs: usize) -> Vec<u8> {
    let (words, _) = bytes.as_chunks::<4>();
    let n = packing.per_word();
    let largest = (1_u16 << packing.bits) - 1;
    // Less one and cut to its bits, the zero 0 is stored as the largest value.
    let zero = |value: u8| match packing.zeros_less_one {
        true => ((u16::from(value) + 1) & largest) as u8,
        false => value,
    };
    let rows = words.chunks_exact((outputs / n).max(1));
    rows.flat_map(|row| {
        (0..outputs).map(move |at| {
            let word = u32::from_le_bytes(row[at / n]);
            zero(packing.value(word, packing.shift(at)))
        })
    })
    .collect()
}

/// The tensor `name`, of this type and shape.
fn checked<'w>(weights: &'w Weights, name: &str, dtype: Option<Dtype>, shape: &[usize]) -> Result<View<'w>> {
    let view = weights.view(name)?;
    let wrong = |reason: String| WeightsError::Integers {
        tensor: name.to_owned(),
        reason,
    };
    if dtype.is_some_and(|dtype| view.dtype != dtype) {
        return Err(wrong(format!("its type is {}, expected I32", view.dtype)));
    }
    if view.shape != shape {
        return Err(wrong(format!(
            "its shape is {:?}, and the matrix asks for {shape:?}",
            view.shape
        )));
    }
    Ok(view)
}

#[cfg(test)]
mod tests;
