//! A head that reads without a decoder: where in a cell a character has its middle, and which one it is.
//!
//! A cell is parted into frames from left to right. Of every frame one score says whether a character has its middle there; the scores
//! of the characters are taken only where one has, and with the matrix that the decoder's words are scored with, so that both learn one
//! set of shapes.

use candle_core::Tensor;
use ocellus_models::{ModelError, Vlm};
use ocellus_nn::ops::loss::cross_entropy;
use ocellus_nn::{Linear, LoadError, Params};
use std::sync::Arc;

/// Below this chance of a middle a frame is empty.
const FAINT: f32 = 0.1;

/// The tensors `frames` and `presence`.
pub struct FrameHead {
    hidden: Linear,
    presence: Linear,
    frames_per_cell: usize,
    width: usize,
}

impl FrameHead {
    /// For cells and words of `width` values.
    pub fn load(p: &Params, width: usize, frames_per_cell: usize) -> Result<Self, LoadError> {
        Ok(Self {
            hidden: Linear::load(&p.at("frames"), width, frames_per_cell * width, true)?,
            presence: Linear::load(&p.at("presence"), width, frames_per_cell * 2, true)?,
            frames_per_cell,
            width,
        })
    }

    /// Scores of nothing and of a character for every frame of `cells [n, width]`: `[n * frames_per_cell, 2]`.
    fn presence(&self, cells: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self
            .presence
            .forward(cells)?
            .reshape((cells.dim(0)? * self.frames_per_cell, 2))?)
    }

    /// Scores of the words at `frames`, numbers of frames of `cells`: `[frames, vocab]`.
    fn words(&self, vlm: &dyn Vlm, cells: &Tensor, frames: Vec<u32>) -> Result<Tensor, ModelError> {
        let all = self
            .hidden
            .forward(cells)?
            .reshape((cells.dim(0)? * self.frames_per_cell, self.width))?;
        let count = frames.len();
        vlm.logits(&all.index_select(&Tensor::from_vec(frames, count, cells.device())?, 0)?)
    }

    /// The summed cross-entropies of all frames of `cells`; `targets` has the word of each frame, or 0 for none.
    pub fn loss(&self, vlm: &dyn Vlm, cells: &Tensor, targets: &[u32]) -> Result<Tensor, ModelError> {
        let present: Arc<[u32]> = targets.iter().map(|t| u32::from(*t > 0)).collect();
        let loss = cross_entropy(&self.presence(cells)?, &present)?;
        let (frames, words): (Vec<u32>, Vec<u32>) = (0u32..)
            .zip(targets)
            .filter(|(_, t)| **t > 0)
            .map(|(i, t)| (i, *t))
            .unzip();
        if frames.is_empty() {
            return Ok(loss);
        }
        Ok((loss + cross_entropy(&self.words(vlm, cells, frames)?, &words.into())?)?)
    }

    /// The words of one strip's `cells`, from left to right.
    pub fn read(&self, vlm: &dyn Vlm, cells: &Tensor) -> Result<Vec<u32>, ModelError> {
        let chances: Vec<f32> = self
            .presence(cells)?
            .to_vec2::<f32>()?
            .iter()
            .map(|pair| 1.0 / (1.0 + (pair[0] - pair[1]).exp()))
            .collect();
        let frames: Vec<u32> = (0u32..)
            .zip(&chances)
            .filter(|(_, chance)| **chance > FAINT)
            .map(|(i, _)| i)
            .collect();
        if frames.is_empty() {
            return Ok(Vec::new());
        }
        let words = self
            .words(vlm, cells, frames.clone())?
            .argmax(1)?
            .to_vec1::<u32>()?;
        let found: Vec<_> = frames
            .iter()
            .zip(words)
            .map(|(f, word)| (*f, chances[*f as usize], word))
            .collect();
        Ok(joined(&found))
    }
}

/// Neighbouring frames that name one word share it: a middle on the border of two frames has half a chance in each. What they sum to is
/// how often the word stands there.
fn joined(found: &[(u32, f32, u32)]) -> Vec<u32> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < found.len() {
        let (mut end, mut sum) = (at + 1, found[at].1);
        while end < found.len() && found[end].0 == found[end - 1].0 + 1 && found[end].2 == found[at].2 {
            sum += found[end].1;
            end += 1;
        }
        out.extend(std::iter::repeat_n(found[at].2, sum.round() as usize));
        at = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_on_a_border_is_read_once_and_what_stands_twice_twice() {
        for (found, expected) in [
            (vec![], vec![]),
            (vec![(3, 0.9, 7)], vec![7]),
            (vec![(3, 0.3, 7)], vec![]),
            (vec![(3, 0.5, 7), (4, 0.5, 7)], vec![7]),
            (vec![(3, 0.9, 7), (4, 0.9, 7)], vec![7, 7]),
            (vec![(3, 0.9, 7), (5, 0.9, 7)], vec![7, 7]),
            (vec![(3, 0.9, 7), (4, 0.2, 8), (5, 0.9, 9)], vec![7, 9]),
        ] {
            assert_eq!(joined(&found), expected, "{found:?}");
        }
    }
}
