//! What every vision-language model can do, whatever its family.

use candle_core::Tensor;
use ocellus_nn::attention::Batch;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::{Cache, LoadError, Taps};

pub use ocellus_media::Grid;

use crate::config::ConfigError;
use crate::mrope::{self, PositionRule, Positions, Vision};

/// Why a model could not be built or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the prompt has {found} {kind} tokens, its pictures make {expected}")]
    Span {
        kind: &'static str,
        expected: usize,
        found: usize,
    },
    #[error("token id {id} is outside the vocabulary of {vocab}")]
    Vocabulary { id: u32, vocab: usize },
    #[error("a picture's grid {t}x{h}x{w} does not divide into {merge}x{merge} cells of {patches} patches")]
    Grid {
        t: usize,
        h: usize,
        w: usize,
        merge: usize,
        patches: usize,
    },
    #[error("{0}")]
    Tensor(#[from] candle_core::Error),
}

/// Facts of a loaded model that prompt assembly, planning and generation need.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Family id, as in the registry.
    pub family: &'static str,
    pub image_token: u32,
    pub video_token: u32,
    /// Patches along a side of a cell.
    pub merge: usize,
    pub patch_size: usize,
    pub temporal_patch_size: usize,
    /// Values of a flattened patch.
    pub patch_features: usize,
    /// Position steps a second of video, for families that align time with positions.
    pub tokens_per_second: Option<f32>,
    pub max_positions: usize,
}

impl Facts {
    /// Tokens that a picture or video of this grid takes in the prompt.
    pub fn cells(&self, grid: &Grid) -> usize {
        grid.t * grid.h * grid.w / (self.merge * self.merge)
    }
}

/// A vision-language model: pictures to cells, tokens and cells to hidden states, hidden states to logits.
///
/// Everything is packed: several pictures or sequences follow one another in the rows of one tensor.
pub trait Vlm: Send + Sync {
    fn facts(&self) -> &Facts;

    fn decoder(&self) -> &Decoder;

    /// `patches [n, patch_features]` of pictures with these grids → cells `[n / merge², width]`, in the pictures' own order.
    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Tensor, ModelError>;

    /// The embeddings of `ids`, with the rows of `images` and `videos` in place of their tokens, in order. Taps `inputs_embeds`.
    fn embed(
        &self,
        ids: &[u32],
        images: Option<&Tensor>,
        videos: Option<&Tensor>,
        taps: &mut Taps,
    ) -> Result<Tensor, ModelError> {
        let (facts, vocab) = (self.facts(), self.decoder().spec().vocab);
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
                .zip(ids)
                .map(|(i, id)| match *id {
                    id if id == facts.image_token => next(&mut image),
                    id if id == facts.video_token => next(&mut video),
                    _ => i,
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
        taps.tap("inputs_embeds", &embeds);
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
