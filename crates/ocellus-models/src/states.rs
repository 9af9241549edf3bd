//! Hidden states of several pictures or texts, packed: the rows of one sequence follow those of another.

use candle_core::Tensor;
use ocellus_nn::Segment;
use ocellus_nn::attention::segments;
use std::sync::Arc;

use crate::error::ModelError;

/// States of several pictures or texts, packed.
#[derive(Clone)]
pub struct States {
    /// `[tokens, width]`.
    pub rows: Tensor,
    /// Tokens of each.
    pub lengths: Vec<usize>,
}

impl States {
    pub fn segments(&self) -> Arc<[Segment]> {
        segments(self.lengths.iter().copied())
    }

    /// Cross-attention segments: sequence `i` attends to sequence `i` of `memory`.
    pub fn looking_at(&self, memory: &Self) -> Arc<[Segment]> {
        let (own, seen) = (self.segments(), memory.segments());
        let look = |(own, seen): (&Segment, &Segment)| Segment {
            k_start: seen.k_start,
            k_len: seen.k_len,
            ..*own
        };
        own.iter().zip(seen.iter()).map(look).collect()
    }

    fn starts(&self) -> Vec<usize> {
        let start = |sum: &mut usize, n: &usize| {
            *sum += n;
            Some(*sum - n)
        };
        self.lengths.iter().scan(0, start).collect()
    }

    /// The first row of each sequence, `[count, width]`.
    pub fn firsts(&self) -> Result<Tensor, ModelError> {
        let starts: Vec<u32> = self.starts().into_iter().map(|s| s as u32).collect();
        let index = Tensor::from_vec(starts, self.lengths.len(), self.rows.device())?;
        Ok(self.rows.index_select(&index, 0)?)
    }

    /// The sequences with the indices `which`, in this order; an index may repeat.
    pub fn pick(&self, which: &[usize]) -> Result<Self, ModelError> {
        let starts = self.starts();
        if let Some(other) = which.iter().find(|i| **i >= starts.len()) {
            let expected = format!("numbers below {}", starts.len());
            return Err(ModelError::input("a choice of sequences", expected, other));
        }
        let rows = |i: &usize| (starts[*i]..starts[*i] + self.lengths[*i]).map(|row| row as u32);
        let index: Vec<u32> = which.iter().flat_map(rows).collect();
        let index = Tensor::from_vec(
            index,
            which.iter().map(|i| self.lengths[*i]).sum::<usize>(),
            self.rows.device(),
        )?;
        Ok(Self {
            rows: self.rows.index_select(&index, 0)?,
            lengths: which.iter().map(|i| self.lengths[*i]).collect(),
        })
    }

    /// Every sequence without its first `front` and last `back` rows; a shorter sequence becomes empty.
    pub fn trimmed(&self, front: usize, back: usize) -> Result<Self, ModelError> {
        let kept = |n: &usize| n.saturating_sub(front + back);
        let rows = |(start, n): (usize, &usize)| (start + front..start + front + kept(n)).map(|r| r as u32);
        let index: Vec<u32> = self
            .starts()
            .into_iter()
            .zip(&self.lengths)
            .flat_map(rows)
            .collect();
        let index = Tensor::from_slice(&index, index.len(), self.rows.device())?;
        Ok(Self {
            rows: self.rows.index_select(&index, 0)?,
            lengths: self.lengths.iter().map(kept).collect(),
        })
    }

    /// The rows of each sequence as a tensor of its own, `[tokens, width]`.
    pub fn each(&self) -> Result<Vec<Tensor>, ModelError> {
        let spans = self.starts().into_iter().zip(&self.lengths);
        let rows = |(start, n): (usize, &usize)| Ok(self.rows.narrow(0, start, *n)?);
        spans.map(rows).collect()
    }

    /// Concatenates two lists of sequences.
    pub fn and(&self, more: &Self) -> Result<Self, ModelError> {
        Ok(Self {
            rows: Tensor::cat(&[&self.rows, &more.rows], 0)?,
            lengths: [&self.lengths[..], &more.lengths[..]].concat(),
        })
    }
}

/// States of texts and of pictures or regions that were encoded together.
#[derive(Clone)]
pub struct JointStates {
    pub text: States,
    /// States of patches or regions, and of tokens for a whole picture where the model has them.
    pub visual: States,
}
