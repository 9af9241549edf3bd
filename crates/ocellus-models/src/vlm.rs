//! What every vision-language model can do, whatever its family.

use candle_core::Tensor;
use ocellus_nn::attention::Batch;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::{CrossMemory, KvCache, KvLayout, Taps};
use std::sync::Arc;

use ocellus_media::Grid;

use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::facts::Facts;
use crate::mrope::{self, PositionRule, Positions, Vision};

/// One prompt: its ids, and its pictures and videos in the order of their tokens.
#[derive(Clone, Debug)]
pub struct Prompt<'a> {
    pub ids: &'a [u32],
    pub visions: Vec<Vision>,
    pub rule: PositionRule,
}

/// What stands at a place of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The token itself.
    Text,
    /// The next visual token of the pictures.
    Image,
    /// The next visual token of the videos.
    Video,
}

/// What a decoder reads before it generates, of one prompt after another in packed rows.
pub struct PrefillInput {
    /// The tokens that the decoder reads of each sequence.
    pub ids: Vec<Vec<u32>>,
    /// A row for every token.
    pub embeds: Embeddings,
    pub positions: Vec<[i64; 3]>,
    /// Where the first generated token of each sequence stands.
    pub next: Vec<[i64; 3]>,
    /// What every further token adds to that.
    pub stride: [i64; 3],
    /// What the decoder attends to beside its own tokens, a span for each sequence.
    pub cross: Option<Arc<CrossMemory>>,
}

impl PrefillInput {
    /// Tokens of each sequence.
    pub fn lengths(&self) -> Vec<usize> {
        self.ids.iter().map(Vec::len).collect()
    }

    /// Ordinary positions 0, 1, 2, … of every sequence, on all axes.
    pub fn counted(ids: Vec<Vec<u32>>, embeds: Tensor, cross: Option<CrossMemory>) -> Self {
        let place = |i: usize| [i as i64; 3];
        Self {
            positions: ids.iter().flat_map(|row| (0..row.len()).map(place)).collect(),
            next: ids.iter().map(|row| place(row.len())).collect(),
            stride: [1; 3],
            cross: cross.map(Arc::new),
            ids,
            embeds: embeds.into(),
        }
    }
}

/// A vision-language model that continues text: pictures to visual tokens, tokens of both kinds to hidden states, hidden states to
/// logits.
///
/// Everything is packed: several pictures or sequences follow one another in the rows of one tensor.
pub trait Vlm: Send + Sync {
    fn facts(&self) -> &Facts;

    fn decoder(&self) -> &Decoder;

    /// `patches [n, patch_features]` of pictures with these grids → visual tokens, `n / merge²` rows in the pictures' own order.
    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Embeddings, ModelError>;

    /// Rows that [`encode`](Self::encode) gives for a picture or video of this grid.
    fn visual_tokens(&self, grid: &Grid) -> usize {
        self.facts().visual_tokens(grid)
    }

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

    /// Image placeholder expansion: the tokens that stand in a prompt for a picture of this grid, in place of one image token.
    fn placeholder(&self, grid: &Grid) -> Vec<u32> {
        let facts = self.facts();
        vec![facts.image_token.unwrap_or_default(); facts.visual_tokens(grid)]
    }

    /// The embeddings of `ids`, with the rows of `images` and `videos` in place of their tokens, in order. Taps `inputs_embeds`.
    fn embed(
        &self,
        ids: &[u32],
        images: Option<&Embeddings>,
        videos: Option<&Embeddings>,
        taps: &mut Taps,
    ) -> Result<Embeddings, ModelError> {
        let vocab = self.decoder().spec().vocab;
        if let Some(&id) = ids.iter().find(|id| **id as usize >= vocab) {
            return Err(ModelError::Vocabulary { id, vocab });
        }
        let text = Embeddings::from(self.decoder().embed(ids)?);
        let count = |e: Option<&Embeddings>| e.map_or(Ok(0), Embeddings::count);
        let (image_rows, video_rows) = (count(images)?, count(videos)?);
        let embeds = if image_rows + video_rows == 0 {
            text
        } else {
            // One table: the text rows, the images' rows, the videos' rows; each token picks its row.
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
            placeholders_match("image", image_rows, image as usize - ids.len())?;
            placeholders_match("video", video_rows, video as usize - ids.len() - image_rows)?;
            let pick = Tensor::from_vec(pick, ids.len(), text.rows.device())?;
            let table: Vec<Embeddings> = [Some(&text), images, videos]
                .into_iter()
                .flatten()
                .cloned()
                .collect();
            Embeddings::cat(&table)?.select(&pick)?
        };
        taps.tap("inputs_embeds", &embeds.rows);
        Ok(embeds)
    }

    /// Prompts with the visual tokens of their images and videos, ready for the decoder. Models that read prompts with an encoder,
    /// or whose decoder attends to the picture across, say so here.
    fn prefill_input(
        &self,
        prompts: &[Prompt],
        images: Option<&Embeddings>,
        videos: Option<&Embeddings>,
        taps: &mut Taps,
    ) -> Result<PrefillInput, ModelError> {
        let ids: Vec<Vec<u32>> = prompts.iter().map(|p| p.ids.to_vec()).collect();
        let embeds = self.embed(&ids.concat(), images, videos, taps)?;
        let (mut positions, mut next) = (Vec::new(), Vec::with_capacity(prompts.len()));
        for prompt in prompts {
            let placed = self.positions(prompt.ids, &prompt.visions, prompt.rule)?;
            next.push([prompt.ids.len() as i64 + placed.delta; 3]);
            positions.extend(placed.ids);
        }
        Ok(PrefillInput {
            ids,
            embeds,
            positions,
            next,
            stride: [1; 3],
            cross: None,
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

    /// What is kept of every token that was read. Whose it is and where it lies is the caller's business.
    fn kv_layout(&self) -> KvLayout {
        self.decoder().kv_layout()
    }

    /// Whether what is kept of a token depends on the tokens before it alone, so that another prompt which starts alike can use
    /// it. Not so where the rotation depends on the length of the whole prompt, or prompts are read by an encoder.
    fn prefixes_agree(&self) -> bool {
        true
    }

    /// Embeddings → hidden states `[rows, width]`.
    fn forward(
        &self,
        embeds: &Embeddings,
        positions: &[[i64; 3]],
        batch: &Batch,
        cache: Option<&KvCache>,
        taps: &mut Taps,
    ) -> Result<Tensor, ModelError> {
        let Embeddings { rows, added } = embeds;
        Ok(self
            .decoder()
            .forward_adding(rows, added, positions, batch, cache, taps)?)
    }

    /// Hidden states `[rows, width]` → logits `[rows, vocab]`.
    fn logits(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.decoder().logits(hidden)?)
    }
}

/// Fails when a prompt has more or fewer places for visual tokens of a kind than there are rows for them.
pub(crate) fn placeholders_match(
    kind: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), ModelError> {
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
