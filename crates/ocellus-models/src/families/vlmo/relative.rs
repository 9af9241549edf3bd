//! Relative position biases: a learned attention bias for each relative position of two tokens, for every head of every layer, in
//! one table.
//!
//! Rows of the table, in order: distances of two patches in a window of `side` by `side`; class token to patch, patch to class
//! token, class token to itself; text to picture, picture to text; distances of two text tokens; the text's class token to a
//! token, a token to it, and it to itself. Some rows for distances of text tokens are never used.

use candle_core::Tensor;
use ocellus_nn::{LoadError, Params, Segment};

use super::config::Config;
use super::layout::{Sequence, TokenLayout};
use super::spline;
use crate::error::ModelError;

pub(super) struct Relative {
    /// `[rows, layers · heads]`; the heads of a layer are adjacent.
    table: Tensor,
    heads: usize,
    /// Patches along a side of the window.
    side: usize,
    text_window: usize,
}

/// The position of a token.
#[derive(Clone, Copy)]
enum Place {
    TextClass,
    Word(usize),
    PictureClass,
    Patch(usize, usize),
}

/// Indices of the table's rows for a window of patches.
struct RowsOf {
    /// Numbers of distances along rows and along columns.
    spans: (usize, usize),
    text_window: usize,
}

impl RowsOf {
    fn patches(&self) -> usize {
        self.spans.0 * self.spans.1
    }

    fn all(&self) -> usize {
        self.patches() + 3 + 2 + 2 * self.text_window
    }

    /// The table row for a query token at `from` and a key token at `to`.
    fn row(&self, from: Place, to: Place) -> usize {
        use Place::{Patch, PictureClass, TextClass, Word};
        let (patches, all) = (self.patches(), self.all());
        match (from, to) {
            (Patch(y, x), Patch(v, u)) => {
                (y + self.spans.0 / 2 - v) * self.spans.1 + x + self.spans.1 / 2 - u
            }
            (PictureClass, Patch(..)) => patches,
            (Patch(..), PictureClass) => patches + 1,
            (PictureClass, PictureClass) => patches + 2,
            (TextClass | Word(_), PictureClass | Patch(..)) => patches + 3,
            (PictureClass | Patch(..), TextClass | Word(_)) => patches + 4,
            (Word(i), Word(j)) => patches + 5 + (j + self.text_window - 2) - i,
            (TextClass, Word(_)) => all - 3,
            (Word(_), TextClass) => all - 2,
            (TextClass, TextClass) => all - 1,
        }
    }
}

impl Relative {
    pub(super) fn load(p: &Params, config: &Config) -> Result<Self, LoadError> {
        let span = 2 * config.side - 1;
        let rows = RowsOf {
            spans: (span, span),
            text_window: config.text_window,
        };
        let shape = [rows.all(), config.heads * config.layers];
        Ok(Self {
            table: p.tensor("relative_position_bias_table", &shape)?,
            heads: config.heads,
            side: config.side,
            text_window: config.text_window,
        })
    }

    /// The table for pictures of `h` by `w` patches: the rows for patch distances are interpolated, the others unchanged.
    fn table_for(&self, (h, w): (usize, usize)) -> Result<Tensor, ModelError> {
        if (h, w) == (self.side, self.side) {
            return Ok(self.table.clone());
        }
        let span = 2 * self.side - 1;
        let window = span * span;
        let rest = self.table.narrow(0, window, self.table.dim(0)? - window)?;
        let resized = spline::resize(&self.table.narrow(0, 0, window)?, span, (2 * h - 1, 2 * w - 1))?;
        Ok(Tensor::cat(&[resized, rest], 0)?)
    }

    /// The table rows for all token pairs of every sequence.
    pub(super) fn place(&self, layout: &TokenLayout) -> Result<Placed, ModelError> {
        let sequence = |(sequence, segment): (&Sequence, &Segment)| {
            let grid = sequence.picture.unwrap_or((self.side, self.side));
            let rows = RowsOf {
                spans: (2 * grid.0 - 1, 2 * grid.1 - 1),
                text_window: self.text_window,
            };
            let places = places(sequence);
            let looked: Vec<u32> = places
                .iter()
                .flat_map(|from| places.iter().map(|to| rows.row(*from, *to) as u32))
                .collect();
            Ok(Looked {
                start: segment.q_start,
                index: Tensor::from_vec(looked, segment.q_len * segment.k_len, self.table.device())?,
                table: self.table_for(grid)?,
            })
        };
        Ok(Placed {
            heads: self.heads,
            sequences: (layout.sequences.iter().zip(layout.segments.iter()))
                .map(sequence)
                .collect::<Result<_, ModelError>>()?,
        })
    }
}

fn places(sequence: &Sequence) -> Vec<Place> {
    let text = sequence.text.iter().map(|column| match column {
        0 => Place::TextClass,
        column => Place::Word(*column),
    });
    let picture = sequence.picture.into_iter().flat_map(|(h, w)| {
        let patches = (0..h).flat_map(move |y| (0..w).map(move |x| Place::Patch(y, x)));
        std::iter::once(Place::PictureClass).chain(patches)
    });
    text.chain(picture).collect()
}

struct Looked {
    /// The first token of the sequence.
    start: usize,
    /// Table rows of all pairs of its tokens.
    index: Tensor,
    table: Tensor,
}

/// Table and row indices for one forward pass.
pub(super) struct Placed {
    heads: usize,
    sequences: Vec<Looked>,
}

impl Placed {
    /// The attention bias of layer `layer` for the sequence `segment`, `[heads, q_len, k_len]`.
    pub(super) fn scores(&self, layer: usize, segment: &Segment) -> ocellus_nn::Result<Tensor> {
        let Some(looked) = self.sequences.iter().find(|l| l.start == segment.q_start) else {
            candle_core::bail!("no sequence starts at token {}", segment.q_start);
        };
        looked
            .table
            .narrow(1, layer * self.heads, self.heads)?
            .contiguous()?
            .index_select(&looked.index, 0)?
            .reshape((segment.q_len, segment.k_len, self.heads))?
            .permute((2, 0, 1))?
            .contiguous() // [heads, q_len, k_len]
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, RowsOf};

    #[test]
    fn every_pair_has_its_row() {
        use Place::{Patch, PictureClass, TextClass, Word};
        // A window of 3 by 3 patches, 25 distances, and texts of up to 10 tokens: 25 + 3 + 2 + 20 rows.
        let rows = RowsOf {
            spans: (5, 5),
            text_window: 10,
        };
        assert_eq!(rows.all(), 50);
        for (from, to, row) in [
            (Patch(0, 0), Patch(2, 2), 0),
            (Patch(1, 1), Patch(1, 1), 12),
            (Patch(0, 2), Patch(2, 0), 4),
            (Patch(2, 2), Patch(0, 0), 24),
            (PictureClass, Patch(1, 2), 25),
            (Patch(1, 2), PictureClass, 26),
            (PictureClass, PictureClass, 27),
            (Word(3), Patch(0, 0), 28),
            (PictureClass, TextClass, 29),
            (Word(9), Word(1), 30),
            (Word(1), Word(1), 38),
            (Word(1), Word(9), 46),
            (TextClass, Word(4), 47),
            (Word(4), TextClass, 48),
            (TextClass, TextClass, 49),
        ] {
            assert_eq!(rows.row(from, to), row);
        }
    }
}
