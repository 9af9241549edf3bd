//! What prompt assembly, planning and generation need to know of a model.

use ocellus_media::Grid;

/// Facts of a loaded model that prompt assembly, planning and generation need.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Family id, as in the registry.
    pub family: &'static str,
    /// The token that stands for a visual token of a picture, if visual tokens stand in the prompt.
    pub image_token: Option<u32>,
    pub video_token: Option<u32>,
    /// Patches along a side of a visual token.
    pub merge: usize,
    pub patch_size: usize,
    pub temporal_patch_size: usize,
    /// Values of a flattened patch.
    pub patch_features: usize,
    /// Position steps a second of video, for families that align time with positions.
    pub tokens_per_second: Option<f32>,
    /// Every temporal patch of a video is a picture of its own in the prompt, behind its time in words.
    pub frames_apart: bool,
    pub max_positions: usize,
}

impl Facts {
    /// Tokens that a picture or video of this grid takes in the prompt.
    pub fn visual_tokens(&self, grid: &Grid) -> usize {
        grid.t * grid.h * grid.w / (self.merge * self.merge)
    }
}
