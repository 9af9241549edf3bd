//! Pictures and frames as the rows that a vision tower takes.
//!
//! A row is one patch, its values in the order (channel, frame, y, x): the order of a flattened convolution kernel.
//! Rows follow each other by time, then visual token by visual token in reading order, inside each patch by patch in reading
//! order, so that the patches of a visual token are neighbours.

use ocellus_kernels::unset;
use rayon::prelude::*;

use crate::resize::resize_frame;
use crate::{MediaError, Recipe, Rgb, resize, smart_resize};

/// Below this many values, threads cost more than they save.
const PARALLEL_VALUES: usize = 1 << 17;

/// How many patches a picture or video has along each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    pub t: usize,
    pub h: usize,
    pub w: usize,
}

impl Grid {
    /// Patches in all.
    pub fn patches(&self) -> usize {
        self.t * self.h * self.w
    }

    /// Visual tokens in all, of `merge_size` x `merge_size` patches each.
    pub fn visual_tokens(&self, merge_size: u32) -> usize {
        self.patches() / (merge_size as usize).pow(2)
    }
}

/// A picture or video, cut into patches and normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Patches {
    /// `[grid.patches(), features]`.
    pub values: Vec<f32>,
    /// Values of one patch: channels x frames x rows x columns.
    pub features: usize,
    pub grid: Grid,
    /// Width and height that the patches were cut from, px.
    pub resized: (u32, u32),
}

/// Resizes a picture by the recipe's rule, as Pillow resizes it, and cuts it into patches.
pub fn patchify(image: &Rgb, recipe: &Recipe) -> Result<Patches, MediaError> {
    image.check()?;
    resized(std::slice::from_ref(image), recipe, resize)
}

/// Cuts a picture into patches as it is. Both sides must be multiples of `patch_size * merge_size`.
pub fn patchify_exact(image: &Rgb, recipe: &Recipe) -> Result<Patches, MediaError> {
    let (width, height, multiple) = (image.width, image.height, recipe.factor());
    if width == 0 || height == 0 {
        return Err(MediaError::NoPixels { width, height });
    }
    if width % multiple != 0 || height % multiple != 0 {
        return Err(MediaError::OffGrid {
            width,
            height,
            multiple,
        });
    }
    image.check()?;
    Ok(cut(&[image], recipe))
}

/// Resizes the frames of a video by the recipe's rule, as torchvision resizes bytes, and cuts them into patches.
///
/// All frames must have the same size. Every patch spans `temporal_patch_size` frames; where frames are missing at
/// the end, the last one is repeated.
pub fn patchify_frames(frames: &[Rgb], recipe: &Recipe) -> Result<Patches, MediaError> {
    let first = frames.first().ok_or(MediaError::NoFrames)?;
    for (index, frame) in frames.iter().enumerate() {
        let (expected, found) = ((first.width, first.height), (frame.width, frame.height));
        if expected != found {
            return Err(MediaError::FrameSize {
                index,
                expected,
                found,
            });
        }
        frame.check()?;
    }
    resized(frames, recipe, resize_frame)
}

/// Brings frames of one size to that of the recipe's rule by `resize`, and cuts them into patches.
fn resized(
    frames: &[Rgb],
    recipe: &Recipe,
    resize: fn(&Rgb, u32, u32) -> Rgb,
) -> Result<Patches, MediaError> {
    let first = &frames[0];
    let (min, max) = (recipe.min_pixels, recipe.max_pixels);
    let (height, width) = smart_resize(first.height, first.width, recipe.factor(), min, max)?;
    if (width, height) == (first.width, first.height) {
        return Ok(cut(&frames.iter().collect::<Vec<_>>(), recipe));
    }
    let resized: Vec<Rgb> = frames.iter().map(|frame| resize(frame, width, height)).collect();
    Ok(cut(&resized.iter().collect::<Vec<_>>(), recipe))
}

/// Cuts frames of one size, whose sides are multiples of a visual token's, and of which there is at least one.
fn cut(frames: &[&Rgb], recipe: &Recipe) -> Patches {
    let (width, height) = (frames[0].width, frames[0].height);
    let depth = recipe.temporal_patch_size as usize;
    let (patch, merge) = (recipe.patch_size as usize, recipe.merge_size as usize);
    let grid = Grid {
        t: frames.len().div_ceil(depth),
        h: height as usize / patch,
        w: width as usize / patch,
    };
    let features = recipe.features();
    let levels = levels(recipe);

    let mut values = unset(grid.patches() * features);
    // One row of visual tokens at one time: [w / merge, merge, merge, features].
    let cell_row_values = grid.w * merge * features;
    let fill = |(index, rows): (usize, &mut [f32])| {
        let (time, cell_y) = (index / (grid.h / merge), index % (grid.h / merge));
        for (nth, row) in rows.chunks_exact_mut(features).enumerate() {
            let (cell_x, inner) = (nth / (merge * merge), nth % (merge * merge));
            let y = (cell_y * merge + inner / merge) * patch;
            let x = (cell_x * merge + inner % merge) * patch;
            let taps = (0..depth).map(|tap| (time * depth + tap).min(frames.len() - 1));
            fill_patch(row, taps.map(|frame| frames[frame]), (x, y), patch, &levels);
        }
    };
    if values.len() < PARALLEL_VALUES {
        values
            .chunks_exact_mut(cell_row_values)
            .enumerate()
            .for_each(fill);
    } else {
        values
            .par_chunks_exact_mut(cell_row_values)
            .enumerate()
            .for_each(fill);
    }
    Patches {
        values,
        features,
        grid,
        resized: (width, height),
    }
}

/// Writes a patch row from its first value to its last: what goes out to memory out of order waits for it.
fn fill_patch<'a>(
    row: &mut [f32],
    frames: impl ExactSizeIterator<Item = &'a Rgb> + Clone,
    (x, y): (usize, usize),
    patch: usize,
    levels: &[[f32; 256]; 3],
) {
    let area = patch * patch;
    for ((channel, levels), row) in levels
        .iter()
        .enumerate()
        .zip(row.chunks_exact_mut(frames.len() * area))
    {
        let mut before: Option<(&Rgb, &[f32])> = None;
        for (frame, plane) in frames.clone().zip(row.chunks_exact_mut(area)) {
            match before {
                Some((same, values)) if std::ptr::eq(same, frame) => plane.copy_from_slice(values),
                _ => {
                    let stride = frame.width as usize * 3;
                    for (line, out) in plane.chunks_exact_mut(patch).enumerate() {
                        let pixels = &frame.data[(y + line) * stride + x * 3..][..patch * 3];
                        for (value, pixel) in out.iter_mut().zip(pixels.as_chunks::<3>().0) {
                            *value = levels[usize::from(pixel[channel])];
                        }
                    }
                }
            }
            before = Some((frame, plane));
        }
    }
}

/// The normalised value of every level, per channel: `(level - mean / rescale) / (std / rescale)` in 32-bit floats,
/// the form in which the published processors fuse rescaling and normalising.
fn levels(recipe: &Recipe) -> [[f32; 256]; 3] {
    let scale = (1.0 / f64::from(recipe.rescale)) as f32;
    std::array::from_fn(|channel| {
        let (mean, std) = (recipe.mean[channel] * scale, recipe.std[channel] * scale);
        std::array::from_fn(|level| (level as f32 - mean) / std)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recipe that keeps levels: levels in, levels out.
    fn plain(patch_size: u32, merge_size: u32, temporal_patch_size: u32) -> Recipe {
        let bounds = (1, 1 << 30);
        Recipe {
            patch_size,
            merge_size,
            temporal_patch_size,
            min_pixels: bounds.0,
            max_pixels: bounds.1,
            mean: [0.0; 3],
            std: [1.0; 3],
            rescale: 1.0,
        }
    }

    /// A picture whose level encodes position and channel: 10 y + x, plus 100 per channel.
    fn picture(width: u32, height: u32) -> Rgb {
        let levels =
            (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| 100 * c + 10 * y + x)));
        Rgb {
            width,
            height,
            data: levels.map(|level| level as u8).collect(),
        }
    }

    #[test]
    fn rows_go_cell_by_cell() {
        // Patches of 1 px, visual tokens of 2 x 2: the first value of a row is its pixel.
        let patches = patchify_exact(&picture(4, 4), &plain(1, 2, 1)).unwrap();
        assert_eq!((patches.grid, patches.features), (Grid { t: 1, h: 4, w: 4 }, 3));
        let first: Vec<f32> = patches.values.iter().copied().step_by(3).collect();
        let expected = [0, 1, 10, 11, 2, 3, 12, 13, 20, 21, 30, 31, 22, 23, 32, 33].map(|level| level as f32);
        assert_eq!(first, expected);
        assert_eq!((patches.grid.patches(), patches.grid.visual_tokens(2)), (16, 4));
    }

    #[test]
    fn a_row_is_channel_frame_y_x() {
        let expected = [0, 1, 10, 11, 100, 101, 110, 111, 200, 201, 210, 211].map(|level| level as f32);
        let patches = patchify_exact(&picture(2, 2), &plain(2, 1, 1)).unwrap();
        assert_eq!(patches.values, expected);
        // A still picture fills all frames of its patch.
        let patches = patchify_exact(&picture(2, 2), &plain(2, 1, 3)).unwrap();
        let repeated: Vec<f32> = expected.chunks(4).flat_map(|plane| plane.repeat(3)).collect();
        assert_eq!((patches.values, patches.features), (repeated, 36));
    }

    #[test]
    fn the_last_frame_fills_up_the_time() {
        let frames: Vec<Rgb> = (1..=3).map(|level| Rgb::filled(1, 1, [level; 3])).collect();
        let patches = patchify_frames(&frames, &plain(1, 1, 2)).unwrap();
        assert_eq!(patches.grid, Grid { t: 2, h: 1, w: 1 });
        assert_eq!(patches.values, [1., 2., 1., 2., 1., 2., 3., 3., 3., 3., 3., 3.]);
    }

    #[test]
    fn threads_change_nothing() {
        let recipe = Recipe {
            patch_size: 7,
            merge_size: 4,
            temporal_patch_size: 1,
            ..Recipe::default()
        };
        let data = (0..28 * 28 * 3 * 64).map(|at| (at * 31 % 253) as u8).collect();
        let tall = Rgb::new(28, 28 * 64, data).unwrap();
        let whole = patchify_exact(&tall, &recipe).unwrap();
        assert!(whole.values.len() >= PARALLEL_VALUES);
        let cells = (0..64).flat_map(|y| {
            patchify_exact(&tall.crop(0, y * 28, 28, 28), &recipe)
                .unwrap()
                .values
        });
        assert_eq!(whole.values, cells.collect::<Vec<_>>());
    }

    #[test]
    fn refusals() {
        let recipe = plain(7, 4, 1);
        let off = patchify_exact(&Rgb::filled(56, 30, [0; 3]), &recipe).unwrap_err();
        assert_eq!(
            off.to_string(),
            "the picture does not fit the grid: expected sides in multiples of 28 px, found 56 x 30 px"
        );
        assert!(matches!(
            patchify_exact(&Rgb::filled(0, 0, [0; 3]), &recipe),
            Err(MediaError::NoPixels { .. })
        ));
        assert!(matches!(
            patchify(&Rgb::filled(0, 4, [0; 3]), &recipe),
            Err(MediaError::NoPixels { .. })
        ));
        let short = Rgb {
            width: 28,
            height: 28,
            data: vec![0; 5],
        };
        assert!(matches!(
            patchify_exact(&short, &recipe),
            Err(MediaError::BufferLength { .. })
        ));
        assert!(matches!(
            patchify(&short, &recipe),
            Err(MediaError::BufferLength { .. })
        ));
        assert_eq!(patchify_frames(&[], &recipe), Err(MediaError::NoFrames));
        let frames = [Rgb::filled(28, 28, [0; 3]), Rgb::filled(28, 29, [0; 3])];
        let error = patchify_frames(&frames, &recipe).unwrap_err();
        assert_eq!(
            error.to_string(),
            "frame 1 of the video differs in size: expected 28 x 28 px like the first, found 28 x 29 px"
        );
    }
}
