//! Many examples in one packed sequence: long matrices, and attention within each example only.

use candle_core::{Device, Tensor};
use ocellus_models::{Grid, PositionRule, VisualSpan, Vlm};
use std::sync::Arc;

use crate::TrainError;
use crate::example::Example;

/// A packed sequence with everything the losses want.
pub struct Pack {
    pub patches: Tensor,
    pub grids: Vec<Grid>,
    pub ids: Vec<u32>,
    pub positions: Vec<[i64; 3]>,
    pub lengths: Vec<usize>,
    pub targets: Arc<[u32]>,
    pub frames: Arc<[u32]>,
    pub guide: Arc<[Guide]>,
}

/// One query of the attention guide, in rows of the pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guide {
    /// The token whose attention is supervised.
    pub query: usize,
    /// The first visual token of its example.
    pub cells: usize,
    /// Number of visual tokens of its example.
    pub count: usize,
    /// The visual token to attend to, counted from the first.
    pub wanted: usize,
}

impl Pack {
    pub fn new(model: &dyn Vlm, examples: &[Example], device: &Device) -> Result<Self, TrainError> {
        let (features, mut patches) = (model.facts().patch_features, Vec::new());
        let (mut ids, mut positions, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        let (mut frames, mut guide, mut lengths, mut grids) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for example in examples {
            let vision = VisualSpan {
                grid: example.grid,
                video_seconds: None,
            };
            let first = ids.len();
            let cells = model.facts().visual_tokens(&example.grid);
            let at = example
                .ids
                .iter()
                .position(|id| Some(*id) == model.facts().image_token)
                .unwrap_or(0);
            guide.extend(
                example
                    .guide
                    .iter()
                    .enumerate()
                    .filter(|(_, g)| **g != u32::MAX)
                    .map(|(i, g)| Guide {
                        query: first + i,
                        cells: first + at,
                        count: cells,
                        wanted: *g as usize,
                    }),
            );
            positions.extend(
                model
                    .positions(&example.ids, &[vision], PositionRule::default())?
                    .ids,
            );
            patches.extend_from_slice(&example.patches);
            ids.extend_from_slice(&example.ids);
            targets.extend_from_slice(&example.targets);
            frames.extend_from_slice(&example.frames);
            lengths.push(example.ids.len());
            grids.push(example.grid);
        }
        let rows = patches.len() / features;
        Ok(Self {
            patches: Tensor::from_vec(patches, (rows, features), device)?,
            grids,
            ids,
            positions,
            lengths,
            targets: targets.into(),
            frames: frames.into(),
            guide: guide.into(),
        })
    }

    /// Number of tokens that a loss is taken on.
    pub fn target_count(&self) -> usize {
        self.targets.iter().filter(|t| **t != u32::MAX).count()
    }
}
