//! One line of text as a training example: its patches, its tokens, and the targets of each loss.

use ocellus_media::{Grid, Rgb, patchify_exact};
use ocellus_nn::ops::loss::IGNORE;
use ocellus_synth::Sample;
use ocellus_text::Tokenizer;

use crate::TrainError;

/// What [`Example`]s are made with.
pub struct Maker {
    pub tokenizer: Tokenizer,
    pub recipe: ocellus_media::Recipe,
    pub ids: Ids,
    pub frames_per_cell: usize,
}

/// Token ids that frame a line.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    pub vision_start: u32,
    pub vision_end: u32,
    pub image: u32,
    pub end: u32,
}

/// A line ready to be packed.
pub struct Example {
    pub patches: Vec<f32>,
    pub grid: Grid,
    pub ids: Vec<u32>,
    /// The token that should follow each token, or [`IGNORE`].
    pub targets: Vec<u32>,
    /// For each frame of each visual token, the text token whose middle lies in it, or 0 for none.
    pub frames: Vec<u32>,
    /// For each token, the visual token that contains the next character, or [`IGNORE`].
    pub guide: Vec<u32>,
}

impl Maker {
    pub fn example(&self, sample: &Sample) -> Result<Example, TrainError> {
        let text = self.tokenizer.encode(&sample.text)?;
        let patches = self.patches(&sample.image)?;
        let cell_px = (self.recipe.patch_size * self.recipe.merge_size) as f32;
        let cells = sample.image.width as usize / cell_px as usize;
        let prompt = cells + 2;

        let mut ids = vec![self.ids.vision_start];
        ids.extend(std::iter::repeat_n(self.ids.image, cells));
        ids.push(self.ids.vision_end);
        ids.extend(&text);
        let mut targets = vec![IGNORE; ids.len()];
        for (i, id) in text.iter().chain([&self.ids.end]).enumerate() {
            targets[prompt - 1 + i] = *id;
        }

        let mut frames = vec![0; cells * self.frames_per_cell];
        let mut guide = vec![IGNORE; ids.len()];
        // One token a character is what makes the spans usable; other tokenizers train without them.
        if text.len() == sample.spans.len() {
            let frame_px = cell_px / self.frames_per_cell as f32;
            for (i, ((from, to), id)) in sample.spans.iter().zip(&text).enumerate() {
                let middle = ((from + to) / 2.0).max(0.0);
                let frame = ((middle / frame_px) as usize).min(frames.len() - 1);
                frames[frame] = *id;
                guide[prompt - 1 + i] = ((middle / cell_px) as usize).min(cells - 1) as u32;
            }
        }
        Ok(Example {
            patches: patches.values,
            grid: patches.grid,
            ids,
            targets,
            frames,
            guide,
        })
    }

    /// The patches of a strip.
    pub fn patches(&self, strip: &ocellus_media::Gray) -> Result<ocellus_media::Patches, TrainError> {
        let data = strip.data.iter().flat_map(|v| [*v; 3]).collect();
        let image = Rgb {
            width: strip.width,
            height: strip.height,
            data,
        };
        Ok(patchify_exact(&image, &self.recipe)?)
    }
}
