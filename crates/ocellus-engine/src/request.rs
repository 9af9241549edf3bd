//! What is asked of the engine.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use ocellus_models::{Grid, PositionRule};
use ocellus_text::Tokenizer;
use sha2::{Digest, Sha256};

use crate::logits::LogitsProcessor;
use crate::sampler::Sampling;

/// The number of a request in its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A picture or video, cut into patches.
#[derive(Clone, Debug)]
pub struct Picture {
    /// `[n, patch_features]`, on the CPU.
    pub patches: Tensor,
    pub grid: Grid,
    /// `Some(seconds a temporal patch spans)` for a video.
    pub video_seconds: Option<f32>,
    /// What tells it from every other picture. Without it neither its visual tokens nor a prompt that shows it are kept for later
    /// requests.
    pub key: Option<PictureKey>,
}

impl Picture {
    /// A still picture of patch rows, `features` values each, row by row. The values are moved, not copied.
    pub fn still(patches: Vec<f32>, features: usize, grid: Grid) -> candle_core::Result<Self> {
        // Whether there are as many as the grid says is checked when the picture is encoded.
        let rows = patches.len() / features.max(1);
        let shape = match rows * features == patches.len() {
            true => vec![rows, features],
            false => vec![patches.len()],
        };
        Ok(Self {
            patches: Tensor::from_vec(patches, shape, &Device::Cpu)?,
            grid,
            video_seconds: None,
            key: None,
        })
    }

    /// The same with a key of its patches, which follow from the decoded pixels, their sides and the recipe. Reads all patches once,
    /// so only where something is kept for later requests.
    pub fn keyed(self) -> candle_core::Result<Self> {
        let mut hasher = Sha256::new();
        let Grid { t, h, w } = self.grid;
        for side in [t, h, w] {
            hasher.update((side as u64).to_le_bytes());
        }
        for row in 0..self.patches.dim(0)? {
            let values: Vec<f32> = self.patches.get(row)?.flatten_all()?.to_vec1()?;
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            hasher.update(&bytes);
        }
        Ok(Self {
            key: Some(PictureKey(hasher.finalize().into())),
            ..self
        })
    }
}

/// A digest of a picture as the model sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PictureKey(pub [u8; 32]);

impl PictureKey {
    /// Of decoded pixels, and of everything else that decides what the model is shown: sides, recipe, resized sides. SHA-256, so
    /// that nobody can make a picture that is taken for another.
    pub fn new(pixels: &[u8], shown: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update((pixels.len() as u64).to_le_bytes());
        hasher.update(pixels);
        hasher.update(shown);
        Self(hasher.finalize().into())
    }
}

/// One sequence to continue.
#[derive(Clone, Debug)]
pub struct Request {
    /// Prompt ids, image placeholders already expanded.
    pub ids: Vec<u32>,
    /// Pictures and videos in the order of their tokens.
    pub pictures: Vec<Picture>,
    pub max_tokens: usize,
    /// End ids are not chosen before so many tokens.
    pub min_tokens: usize,
    pub sampling: Sampling,
    /// Ids that end the answer; they are not part of it.
    pub end: Vec<u32>,
    pub rule: PositionRule,
}

/// What goes along with a request while it runs.
#[derive(Default)]
pub struct Attached {
    /// Turns tokens into the text of events.
    pub tokenizer: Option<Arc<Tokenizer>>,
    /// Strings that end the answer; they are not part of it. Only with a tokenizer.
    pub stop: Vec<String>,
    /// Change the logits of every token before it is chosen, in this order.
    pub processors: Vec<Box<dyn LogitsProcessor>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_pictures_apart_by_what_is_shown() {
        let key = |values: &[f32], h, w| {
            let grid = Grid { t: 1, h, w };
            let picture = Picture::still(values.to_vec(), 2, grid).unwrap();
            picture.keyed().unwrap().key.unwrap()
        };
        let own = key(&[1.0, 2.0, 3.0, 4.0], 1, 2);
        assert_eq!(own, key(&[1.0, 2.0, 3.0, 4.0], 1, 2));
        for other in [
            key(&[1.0, 2.0, 3.0, 4.5], 1, 2),
            key(&[1.0, 2.0, 3.0, 4.0], 2, 1),
            key(&[3.0, 4.0, 1.0, 2.0], 1, 2),
        ] {
            assert_ne!(other, own);
        }
    }
}
