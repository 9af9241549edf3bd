//! Facts of a model that prompt assembly, planning and generation need.

use ocellus_media::Grid;

/// Facts of a loaded model that prompt assembly, planning and generation need.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The family's id in the registry.
    pub family: &'static str,
    /// The id that stands for one visual token in the prompt; `None` where pictures have no tokens in the prompt.
    pub image_token: Option<u32>,
    pub video_token: Option<u32>,
    /// Patches along a side of a visual token: a visual token is made of `merge · merge` patches.
    pub merge: usize,
    pub patch_size: usize,
    pub temporal_patch_size: usize,
    /// Values of a flattened patch.
    pub patch_features: usize,
    /// Position steps per second of video, for families whose positions follow time.
    pub tokens_per_second: Option<f32>,
    /// In the prompt every temporal patch of a video stands as a picture of its own, with its time as text in front.
    pub frames_apart: bool,
    pub max_positions: usize,
}

impl Facts {
    /// The number of prompt tokens that a picture or video with this grid takes.
    pub fn visual_tokens(&self, grid: &Grid) -> usize {
        grid.t * grid.h * grid.w / (self.merge * self.merge)
    }
}
