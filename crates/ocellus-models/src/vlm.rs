//! What every vision-language model can do, whatever its family.

use candle_core::Tensor;
use ocellus_nn::attention::{Batch, Memory};
use ocellus_nn::decoder::Decoder;
use ocellus_nn::{Cache, Taps};
use std::sync::Arc;

use ocellus_media::Grid;

use crate::error::ModelError;
use crate::facts::Facts;
use crate::mrope::{self, PositionRule, Positions, Vision};

/// One prompt: its ids, and its pictures and videos in the order of their tokens.
#[derive(Clone, Debug)]
pub struct Prompt<'a> {
    pub ids: &'a [u32],
    pub visions: Vec<Vision>,
    pub rule: PositionRule,
    /// Places of padding before the first token; 0 outside of comparisons. Models whose positions do not count padding ignore it.
    pub offset: usize,
}

/// What stands at a place of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The token itself.
    Text,
    /// The next cell of the pictures.
    Image,
    /// The next cell of the videos.
    Video,
}

/// Prompts as a decoder starts from them, one after another in packed rows.
pub struct Opening {
    /// What the decoder has read of each sequence before it generates.
    pub ids: Vec<Vec<u32>>,
    /// `[tokens, width]`.
    pub embeds: Tensor,
    pub positions: Vec<[i64; 3]>,
    /// Where the first generated token of each sequence stands.
    pub next: Vec<[i64; 3]>,
    /// What every further token adds to that.
    pub stride: [i64; 3],
    /// What the decoder looks at beside its own tokens, a span for each sequence.
    pub memory: Option<Arc<Memory>>,
}

impl Opening {
    /// Tokens of each sequence.
    pub fn lengths(&self) -> Vec<usize> {
        self.ids.iter().map(Vec::len).collect()
    }

    /// Ordinary positions 0, 1, 2, … of every sequence, on all axes.
    pub fn counted(ids: Vec<Vec<u32>>, embeds: Tensor, memory: Option<Memory>) -> Self {
        let place = |i: usize| [i as i64; 3];
        Self {
            positions: ids.iter().flat_map(|row| (0..row.len()).map(place)).collect(),
            next: ids.iter().map(|row| place(row.len())).collect(),
            stride: [1; 3],
            memory: memory.map(Arc::new),
            ids,
            embeds,
        }
    }
}

/// A vision-language model that continues text: pictures to cells, tokens and cells to hidden states, hidden states to logits.
///
/// Everything is packed: several pictures or sequences follow one another in the rows of one tensor.
pub trait Vlm: Send + Sync {
    fn facts(&self) -> &Facts;

    fn decoder(&self) -> &Decoder;

    /// `patches [n, patch_features]` of pictures with these grids → cells `[n / merge², width]`, in the pictures' own order.
    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Tensor, ModelError>;

    /// What stands at every place of a prompt.
    fn slots(&self, ids: &[u32]) -> Vec<Slot> {
        let facts = self.facts();
        let slot = |id: &u32| match *id {
            id if Some(id) == facts.image_token => Slot::Image,
            id if Some(id) == facts.video_token => Slot::Video,
            _ => Slot::Text,
        };
        ids.iter().map(slot).collect()
    }

    /// The tokens that stand in a prompt for a picture of this grid, in place of one image token.
    fn spell(&self, grid: &Grid) -> Vec<u32> {
        let facts = self.facts();
        vec![facts.image_token.unwrap_or_default(); facts.cells(grid)]
    }

    /// The embeddings of `ids`, with the rows of `images` and `videos` in place of their tokens, in order. Taps `inputs_embeds`.
    fn embed(
        &self,
        ids: &[u32],
        images: Option<&Tensor>,
        videos: Option<&Tensor>,
        taps: &mut Taps,
    ) -> Result<Tensor, ModelError> {
        let embeds = self.embed_cells(ids, images, videos)?;
        taps.tap("inputs_embeds", &embeds);
        Ok(embeds)
    }

    /// The same without a tap, for families that embed more than one tensor.
    #[doc(hidden)]
    fn embed_cells(
        &self,
        ids: &[u32],
        images: Option<&Tensor>,
        videos: Option<&Tensor>,
    ) -> Result<Tensor, ModelError> {
        let vocab = self.decoder().spec().vocab;
        if let Some(&id) = ids.iter().find(|id| **id as usize >= vocab) {
            return Err(ModelError::Vocabulary { id, vocab });
        }
        let text = self.decoder().embed(ids)?;
        let rows = |t: Option<&Tensor>| t.map_or(Ok(0), |t| t.dim(0));
        let (image_rows, video_rows) = (rows(images)?, rows(videos)?);
        let embeds = if image_rows + video_rows == 0 {
            text
        } else {
            // One table: the text rows, the image cells, the video cells; each token picks its row.
            let (mut image, mut video) = (ids.len() as u32, (ids.len() + image_rows) as u32);
            let next = |counter: &mut u32| {
                *counter += 1;
                *counter - 1
            };
            let pick: Vec<u32> = (0u32..)
                .zip(self.slots(ids))
                .map(|(i, slot)| match slot {
                    Slot::Image => next(&mut image),
                    Slot::Video => next(&mut video),
                    Slot::Text => i,
                })
                .collect();
            self.check("image", image_rows, image as usize - ids.len())?;
            self.check("video", video_rows, video as usize - ids.len() - image_rows)?;
            let table: Vec<Tensor> = [Some(&text), images, videos]
                .into_iter()
                .flatten()
                .cloned()
                .collect();
            let pick = Tensor::from_vec(pick, ids.len(), text.device())?;
            Tensor::cat(&table, 0)?.index_select(&pick, 0)?
        };
        Ok(embeds)
    }

    #[doc(hidden)]
    fn check(&self, kind: &'static str, expected: usize, found: usize) -> Result<(), ModelError> {
        if expected == found {
            Ok(())
        } else {
            Err(ModelError::Span {
                kind,
                expected,
                found,
            })
        }
    }

    /// Prompts with the cells of their images and videos, ready for the decoder. Models that read prompts with an encoder, or whose
    /// decoder looks at the picture across, say so here.
    fn open(
        &self,
        prompts: &[Prompt],
        images: Option<&Tensor>,
        videos: Option<&Tensor>,
        taps: &mut Taps,
    ) -> Result<Opening, ModelError> {
        let ids: Vec<Vec<u32>> = prompts.iter().map(|p| p.ids.to_vec()).collect();
        let embeds = self.embed(&ids.concat(), images, videos, taps)?;
        let (mut positions, mut next) = (Vec::new(), Vec::with_capacity(prompts.len()));
        for prompt in prompts {
            let placed = self.positions(prompt.ids, &prompt.visions, prompt.rule)?;
            next.push([prompt.ids.len() as i64 + placed.delta; 3]);
            positions.extend(placed.ids);
        }
        Ok(Opening {
            ids,
            embeds,
            positions,
            next,
            stride: [1; 3],
            memory: None,
        })
    }

    /// Positions of one sequence that holds these pictures and videos, in order.
    fn positions(
        &self,
        ids: &[u32],
        visions: &[Vision],
        rule: PositionRule,
    ) -> Result<Positions, ModelError> {
        mrope::positions(self.facts(), ids, visions, rule)
    }

    /// An empty cache for `slots` sequences of up to `capacity` tokens.
    fn cache(&self, slots: usize, capacity: usize) -> Result<Cache, ModelError> {
        Ok(self.decoder().cache(slots, capacity)?)
    }

    /// Embeddings `[tokens, width]` → hidden states `[tokens, width]`.
    fn forward(
        &self,
        embeds: &Tensor,
        positions: &[[i64; 3]],
        batch: &Batch,
        cache: Option<&mut Cache>,
        taps: &mut Taps,
    ) -> Result<Tensor, ModelError> {
        Ok(self.decoder().forward(embeds, positions, batch, cache, taps)?)
    }

    /// Hidden states `[rows, width]` → logits `[rows, vocab]`.
    fn logits(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.decoder().logits(hidden)?)
    }
}
