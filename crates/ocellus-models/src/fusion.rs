//! What training with a momentum teacher asks of a model: two towers whose first tokens are compared, and an encoder that
//! fuses both (Li et al. 2021, section 3).

use candle_core::Tensor;
use ocellus_nn::Segment;
use ocellus_nn::attention::segments;
use std::sync::Arc;

use crate::model::{Sight, Texts};
use crate::vlm::ModelError;

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

    /// The tokens of each and the tokens of its counterpart in `memory`, which it looks at.
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

    /// The first token of each, `[count, width]`.
    pub fn firsts(&self) -> Result<Tensor, ModelError> {
        let starts: Vec<u32> = self.starts().into_iter().map(|s| s as u32).collect();
        let index = Tensor::from_vec(starts, self.lengths.len(), self.rows.device())?;
        Ok(self.rows.index_select(&index, 0)?)
    }

    /// Those of `which`, in this order; one may come several times.
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

    /// Every sequence without its first `front` and last `back` tokens; nothing is left of shorter ones.
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

    /// The rows of each sequence, `[tokens, width]`.
    pub fn each(&self) -> Result<Vec<Tensor>, ModelError> {
        let spans = self.starts().into_iter().zip(&self.lengths);
        let rows = |(start, n): (usize, &usize)| Ok(self.rows.narrow(0, start, *n)?);
        spans.map(rows).collect()
    }

    /// These and then those of `more`.
    pub fn and(&self, more: &Self) -> Result<Self, ModelError> {
        Ok(Self {
            rows: Tensor::cat(&[&self.rows, &more.rows], 0)?,
            lengths: [&self.lengths[..], &more.lengths[..]].concat(),
        })
    }
}

/// A picture tower and a text tower.
pub trait TwoTowers {
    fn pictures(&self, sight: &Sight) -> Result<States, ModelError>;
    fn texts(&self, texts: &Texts) -> Result<States, ModelError>;
    /// A feature of length 1 for each picture, `[pictures, features]`.
    fn picture_features(&self, pictures: &States) -> Result<Tensor, ModelError>;
    /// A feature of length 1 for each text, `[texts, features]`.
    fn text_features(&self, texts: &States) -> Result<Tensor, ModelError>;
}

/// Two towers, and an encoder that fuses what they give.
pub trait Fusion: TwoTowers {
    /// Text `i` sees picture `i`.
    fn fuse(&self, texts: &States, pictures: &States) -> Result<States, ModelError>;
    /// Scores of words, `[tokens, vocab]`.
    fn words(&self, fused: &States) -> Result<Tensor, ModelError>;
}

/// Features of the last pictures and texts, from the teacher.
#[derive(Clone)]
pub struct Queues {
    /// `[features, entries]`, one column an entry.
    pub pictures: Tensor,
    pub texts: Tensor,
    /// The column that is overwritten next.
    pub next: usize,
}

/// A model with a slowly following copy of itself (He et al. 2020, section 3.2).
pub trait Followed {
    /// What similarities are divided by, a scalar; a variable in training.
    fn temperature(&self) -> &Tensor;
    /// The name of the teacher's tensor that follows the student's tensor `name`, if one does.
    fn follower(&self, name: &str) -> Option<String>;
    /// The queues as they were loaded.
    fn queues(&self) -> &Queues;
}

/// One whose copy also fuses.
pub trait Momentum: Followed {
    fn student(&self) -> &dyn Fusion;
    fn teacher(&self) -> &dyn Fusion;
    /// Scores of no match and of a match, `[texts, 2]`.
    fn matches(&self, fused: &States) -> Result<Tensor, ModelError>;
}

/// One whose towers alone are copied, and which reads texts anew with pictures, as an encoder and as a decoder (Li et al. 2022,
/// section 3.2). Texts come as for the text tower; the model sets its own first token for each way of reading.
pub trait Grounded: Followed {
    fn student(&self) -> &dyn TwoTowers;
    fn teacher(&self) -> &dyn TwoTowers;
    /// Scores of no match and of a match of text `i` with picture `i`, `[texts, 2]`.
    fn matches(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError>;
    /// Scores of the words that follow each token of text `i` under picture `i`, `[tokens, vocab]`.
    fn following(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError>;
}
