//! The order of texts and pictures in packed rows, and the position of each token for relative positions.

use candle_core::Tensor;
use ocellus_nn::Segment;
use ocellus_nn::attention::segments;
use ocellus_nn::embeddings::rows as select;
use std::sync::Arc;

use crate::error::ModelError;
use crate::packed_texts::PackedTexts;

/// The parts of one sequence.
pub(super) struct Sequence {
    /// Columns of its text tokens in the padded text.
    pub(super) text: Vec<usize>,
    /// Rows and columns of patches of its picture, if it has one.
    pub(super) picture: Option<(usize, usize)>,
}

impl Sequence {
    fn picture_tokens(&self) -> usize {
        self.picture.map_or(0, |(h, w)| 1 + h * w)
    }

    fn tokens(&self) -> usize {
        self.text.len() + self.picture_tokens()
    }
}

pub(super) struct TokenLayout {
    pub(super) sequences: Vec<Sequence>,
    pub(super) segments: Arc<[Segment]>,
}

impl TokenLayout {
    fn new(sequences: Vec<Sequence>) -> Self {
        Self {
            segments: segments(sequences.iter().map(Sequence::tokens)),
            sequences,
        }
    }

    /// Sequences of text alone.
    pub(super) fn texts(rows: &PackedTexts) -> Self {
        Self::new(
            columns(rows)
                .map(|text| Sequence { text, picture: None })
                .collect(),
        )
    }

    /// Sequences of pictures alone.
    pub(super) fn pictures(grids: &[(usize, usize)]) -> Self {
        let picture = |grid: &(usize, usize)| Sequence {
            text: Vec::new(),
            picture: Some(*grid),
        };
        Self::new(grids.iter().map(picture).collect())
    }

    /// Sequences of text `i` followed by picture `i`.
    pub(super) fn together(rows: &PackedTexts, grids: &[(usize, usize)]) -> Self {
        let pair = |(text, grid): (Vec<usize>, &(usize, usize))| Sequence {
            text,
            picture: Some(*grid),
        };
        Self::new(columns(rows).zip(grids).map(pair).collect())
    }

    /// Packed texts `[tokens, width]` and packed pictures `[tokens, width]` → packed sequences `[tokens, width]`.
    pub(super) fn interleave(&self, words: &Tensor, patches: &Tensor) -> Result<Tensor, ModelError> {
        let all = Tensor::cat(&[words, patches], 0)?;
        Ok(select(&all, &self.order())?)
    }

    /// For every token of the sequences, its row in all texts followed by all pictures.
    fn order(&self) -> Vec<u32> {
        let (mut order, mut text) = (Vec::new(), 0);
        let mut picture: usize = self.sequences.iter().map(|s| s.text.len()).sum();
        for s in &self.sequences {
            order.extend(text..text + s.text.len());
            order.extend(picture..picture + s.picture_tokens());
            text += s.text.len();
            picture += s.picture_tokens();
        }
        order.into_iter().map(|row| row as u32).collect()
    }

    /// Row indices of text tokens, and of picture tokens.
    fn parts(&self) -> (Vec<u32>, Vec<u32>) {
        let (mut text, mut picture) = (Vec::new(), Vec::new());
        for (sequence, segment) in self.sequences.iter().zip(self.segments.iter()) {
            let (first, middle) = (
                segment.q_start as u32,
                (segment.q_start + sequence.text.len()) as u32,
            );
            text.extend(first..middle);
            picture.extend(middle..(segment.q_start + segment.q_len) as u32);
        }
        (text, picture)
    }

    /// Whether there are text tokens, and whether there are picture tokens.
    pub(super) fn kinds(&self) -> (bool, bool) {
        let any = |has: fn(&Sequence) -> bool| self.sequences.iter().any(has);
        (any(|s| !s.text.is_empty()), any(|s| s.picture.is_some()))
    }

    /// Selects the rows of text tokens.
    pub(super) fn of_text(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(select(x, &self.parts().0)?)
    }

    /// Selects the rows of picture tokens.
    pub(super) fn of_pictures(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(select(x, &self.parts().1)?)
    }

    /// Selects the first token of every sequence.
    pub(super) fn firsts(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let starts: Vec<u32> = self.segments.iter().map(|s| s.q_start as u32).collect();
        Ok(select(x, &starts)?)
    }

    /// Pads sequences whose texts are padded as in `rows` and whose pictures have one size: `[sequences, length, width]`, 0 at
    /// padding.
    pub(super) fn padded(&self, x: &Tensor, rows: &PackedTexts) -> Result<Tensor, ModelError> {
        let text = rows.unpack(&self.of_text(x)?)?;
        let pictures = self.of_pictures(x)?;
        let (count, _, width) = text.dims3()?;
        let pictures = pictures.reshape((count, pictures.dim(0)? / count.max(1), width))?;
        Ok(Tensor::cat(&[text, pictures], 1)?)
    }
}

/// The columns of every text's real tokens.
fn columns(rows: &PackedTexts) -> impl Iterator<Item = Vec<usize>> {
    let (columns, mut first) = (rows.columns(), 0);
    rows.lengths.iter().map(move |n| {
        first += n;
        columns[first - n..first].to_vec()
    })
}
