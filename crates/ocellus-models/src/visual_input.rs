//! Inputs of models that take pictures and texts together: pictures as patches or as detected regions, texts as ids.

use candle_core::Tensor;
use ocellus_media::Grid;

use crate::error::ModelError;
use crate::states::States;

/// Ids of texts, start and end tokens included.
pub type Texts<'a> = [&'a [u32]];

/// The visual side of the input.
#[derive(Clone, Debug)]
pub enum VisualInput {
    /// Patch rows `[n, patch_features]` of all pictures, one picture after another.
    Pictures { patches: Tensor, grids: Vec<Grid> },
    /// Regions of each picture.
    Regions(Vec<Regions>),
}

/// The regions that a detector found in one picture.
#[derive(Clone, Debug)]
pub struct Regions {
    /// `[regions, width]`.
    pub features: Tensor,
    /// Boxes x1, y1, x2, y2 in px.
    pub boxes: Vec<[f32; 4]>,
    /// Width and height of the picture in px.
    pub width: f32,
    pub height: f32,
}

/// Patches of still pictures, with rows and columns of each.
pub type Stills<'a> = (&'a Tensor, Vec<(usize, usize)>);

impl VisualInput {
    /// The patches and grids; an error for regions.
    pub fn pictures(&self) -> Result<(&Tensor, &[Grid]), ModelError> {
        match self {
            Self::Pictures { patches, grids } => Ok((patches, grids)),
            Self::Regions(_) => Err(ModelError::input("the input", "a picture", "region features")),
        }
    }

    /// As [`pictures`](Self::pictures), with rows and columns of every picture, for models without video. Checks that patches
    /// have `features` values and are as many as the grids say.
    pub fn stills(&self, features: usize) -> Result<Stills<'_>, ModelError> {
        let (patches, grids) = self.pictures()?;
        if let Some(grid) = grids.iter().find(|g| g.t != 1 || g.h == 0 || g.w == 0) {
            let found = format!("a grid of {}x{}x{}", grid.t, grid.h, grid.w);
            return Err(ModelError::input("a picture", "one frame of patches", found));
        }
        let count: usize = grids.iter().map(|g| g.h * g.w).sum();
        if patches.dims() != [count, features] {
            let expected = format!("[{count}, {features}]");
            return Err(ModelError::input(
                "the patches",
                expected,
                format!("{:?}", patches.dims()),
            ));
        }
        Ok((patches, grids.iter().map(|g| (g.h, g.w)).collect()))
    }

    /// The pictures with the indices `which`, in this order; an index may repeat.
    pub fn pick(&self, which: &[usize]) -> Result<Self, ModelError> {
        let count = match self {
            Self::Pictures { grids, .. } => grids.len(),
            Self::Regions(regions) => regions.len(),
        };
        if let Some(other) = which.iter().find(|i| **i >= count) {
            let expected = format!("numbers below {count}");
            return Err(ModelError::input("a choice of pictures", expected, other));
        }
        Ok(match self {
            Self::Regions(regions) => Self::Regions(which.iter().map(|i| regions[*i].clone()).collect()),
            Self::Pictures { patches, grids } => {
                let all = States {
                    rows: patches.clone(),
                    lengths: grids.iter().map(|g| g.t * g.h * g.w).collect(),
                };
                Self::Pictures {
                    patches: all.pick(which)?.rows,
                    grids: which.iter().map(|i| grids[*i]).collect(),
                }
            }
        })
    }

    /// The regions of every picture; an error for patches.
    pub fn regions(&self) -> Result<&[Regions], ModelError> {
        match self {
            Self::Regions(regions) => Ok(regions),
            Self::Pictures { .. } => Err(ModelError::input("the input", "region features", "a picture")),
        }
    }
}
