//! The interface of vision-language models that generate text.

use candle_core::Tensor;
use ocellus_nn::attention::Batch;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::{CrossMemory, KvCache, KvLayout, Taps};
use std::sync::Arc;

use ocellus_media::Grid;

use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::facts::Facts;
use crate::mrope::{self, PositionRule, Positions, VisualSpan};

/// One prompt: its ids, and its pictures and videos in the order of their tokens.
#[derive(Clone, Debug)]
pub struct Prompt<'a> {
    pub ids: &'a [u32],
    pub visions: Vec<VisualSpan>,
    pub rule: PositionRule,
}

/// The source of the embedding at a position of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The token embedding table.
    Text,
    /// The next visual token of the pictures.
    Image,
    /// The next visual token of the videos.
    Video,
}

/// The decoder input of the prefill, for packed sequences.
pub struct PrefillInput {
    /// The ids that the decoder reads in each sequence.
    pub ids: Vec<Vec<u32>>,
    /// One embedding per token.
    pub embeds: Embeddings,
    pub positions: Vec<[i64; 3]>,
    /// The position of the first generated token of each sequence.
    pub next: Vec<[i64; 3]>,
    /// The difference of positions between generated tokens.
    pub stride: [i64; 3],
    /// The cross-attention memory, with a span of rows for each sequence; `None` in decoders without cross-attention.
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

/// A vision-language model that generates text: pictures → visual tokens; text and visual tokens → hidden states; hidden states →
/// logits.
///
/// Tensors are packed: the rows of several pictures or sequences follow one another.
pub trait Vlm: Send + Sync {
    fn facts(&self) -> &Facts;

    fn decoder(&self) -> &Decoder;

    /// `patches [n, patch_features]` of pictures with these grids → visual tokens, `n / merge²` rows in the pictures' own order.
    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Embeddings, ModelError>;

    /// The number of rows that [`encode`](Self::encode) gives for a picture or video with this grid.
    fn visual_tokens(&self, grid: &Grid) -> usize {
        self.facts().visual_tokens(grid)
    }

    /// The source of the embedding at every position of a prompt.
    fn slots(&self, ids: &[u32]) -> Vec<Slot> {
        let facts = self.facts();
        let slot = |id: &u32| match *id {
            id if Some(id) == facts.image_token => Slot::Image,
            id if Some(id) == facts.video_token => Slot::Video,
            _ => Slot::Text,
        };
        ids.iter().map(slot).collect()
    }

    /// Image placeholder expansion: the ids that replace one image token in a prompt for a picture with this grid.
    fn placeholder(&self, grid: &Grid) -> Vec<u32> {
        let facts = self.facts();
        vec![facts.image_token.unwrap_or_default(); facts.visual_tokens(grid)]
    }

    /// The embeddings of `ids`, in which the rows of `images` and `videos` replace image and video tokens in order. Taps
    /// `inputs_embeds`.
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
            // All rows are in one table (text, images, videos), from which each token selects one.
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

    /// The decoder input of prompts with their encoded images and videos. Models that read prompts with an encoder, or whose
    /// decoder attends to the picture by cross-attention, override it.
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

    /// Positions of a sequence with these pictures and videos, in order.
    fn positions(
        &self,
        ids: &[u32],
        visions: &[VisualSpan],
        rule: PositionRule,
    ) -> Result<Positions, ModelError> {
        mrope::positions(self.facts(), ids, visions, rule)
    }

    /// The KV cache that every token needs. The caller owns the cache.
    fn kv_layout(&self) -> KvLayout {
        self.decoder().kv_layout()
    }

    /// Whether keys and values of a token depend only on the tokens up to it, so that a prompt with the same prefix can reuse
    /// them. False where rotary angles depend on the length of the whole prompt, or an encoder reads prompts.
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

/// Fails when the number of image or video positions in a prompt differs from the number of rows for them.
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
