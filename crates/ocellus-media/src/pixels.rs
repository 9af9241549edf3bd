//! Pictures as normalised planes: what a tower with a convolution in front takes.
//!
//! Four steps in this order: the resize to a size that a rule gives, the cut of the centre, the scaling of levels, the
//! normalisation. Each can be left out.

use ocellus_base::limits::PICTURE_PX;

use crate::interpolate::{Between, resize_float};
use crate::resize::{Falloff, resize_by};
use crate::size_rules::{fit_longer_side, fit_shorter_side, shorter_side, token_grid};
use crate::{MediaError, Rgb};

/// Mean per channel of the picture-text pairs of the web that contrastive towers were first trained with, 0..1.
pub const WEB_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Standard deviation that belongs to [`WEB_MEAN`].
pub const WEB_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// A normalised picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    pub height: usize,
    pub width: usize,
    /// `[3, height, width]`.
    pub values: Vec<f32>,
}

/// The rule of the size that a picture is brought to. All numbers are px.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resize {
    /// The picture keeps its size.
    Keep,
    /// Always this size; the shape of the picture is lost.
    Exact { height: u32, width: u32 },
    /// The shorter side becomes `to`, the longer one follows, rounded down.
    ShorterSide { to: u32 },
    /// The shorter side becomes `shorter` unless the longer one then passes `bound.0 / bound.1` of it; both are cut to
    /// multiples of `multiple`. A side may vanish, which refuses the picture.
    ShorterSideBounded {
        shorter: u32,
        bound: (u32, u32),
        multiple: u32,
    },
    /// The shorter side becomes `shorter` unless the longer one then passes `longer`; rounded half up. A side may vanish,
    /// which refuses the picture.
    ShorterSideCapped { shorter: u32, longer: u32 },
    /// Shrunk to `longest` where a side is longer, rounded down, then each side up to a multiple of `patch`.
    LongerSide { longest: u32, patch: u32 },
    /// Like [`Resize::LongerSide`], but rounded to the nearest, halves to even, and never below 1.
    LongerSideRounded { longest: u32, patch: u32 },
}

/// How the levels of a resized picture are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Keys' cubic with antialiasing, in 8 bits.
    Bicubic8,
    /// The triangle with antialiasing, in 8 bits.
    Bilinear8,
    /// Keys' cubic over four pixels without antialiasing, in floats, unclipped.
    CubicF32,
    /// A line between two pixels without antialiasing, in floats.
    LinearF32,
}

/// How pictures become normalised planes.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelRecipe {
    pub resize: Resize,
    /// `(height, width)` cut out of the middle after the resize; what lies outside the picture is black.
    pub crop: Option<(u32, u32)>,
    /// Half an odd number of pixels too many is rounded to the even number, as torchvision does it, not down.
    pub crop_to_even: bool,
    pub filter: Filter,
    /// Factor from a level to the scale 0..1.
    pub rescale: f32,
    /// Mean per channel, on the scale 0..1.
    pub mean: [f32; 3],
    /// Standard deviation per channel, on the scale 0..1.
    pub std: [f32; 3],
}

impl Resize {
    /// `(height, width)` that a picture is brought to. Refused: a side that vanishes, an area above [`PICTURE_PX`].
    pub fn target(&self, height: u32, width: u32) -> Result<(u32, u32), MediaError> {
        let target = match *self {
            Self::Keep => Some((height, width)),
            Self::Exact { height, width } => Some((height, width)),
            Self::ShorterSide { to } => shorter_side(height, width, to),
            Self::ShorterSideBounded {
                shorter,
                bound,
                multiple,
            } => {
                let ratio = f64::from(bound.0) / f64::from(bound.1);
                let longer = (ratio * f64::from(shorter)) as u32;
                fit_shorter_side(height, width, shorter, longer, multiple)
            }
            Self::ShorterSideCapped { shorter, longer } => {
                fit_shorter_side(height, width, shorter, longer, 1)
            }
            Self::LongerSide { longest, patch } => fit_longer_side(height, width, longest, patch),
            Self::LongerSideRounded { longest, patch } => token_grid(height, width, longest, patch)
                .map(|(rows, columns)| (rows.saturating_mul(patch), columns.saturating_mul(patch))),
        };
        let Some(target) = target else {
            return Err(MediaError::NoPixels { width, height });
        };
        let resized = (target.1, target.0);
        if target.0 == 0 || target.1 == 0 {
            return Err(MediaError::SideVanishes {
                width,
                height,
                resized,
            });
        }
        if u64::from(target.0) * u64::from(target.1) > PICTURE_PX {
            return Err(MediaError::ResizedTooLarge {
                width,
                height,
                resized,
                allowed: PICTURE_PX,
            });
        }
        Ok(target)
    }

    /// The unit of the target's sides, px, where the rule has one.
    pub fn multiple(&self) -> Option<u32> {
        match *self {
            Self::ShorterSideBounded { multiple, .. } => Some(multiple),
            Self::LongerSide { patch, .. } | Self::LongerSideRounded { patch, .. } => Some(patch),
            Self::Keep | Self::Exact { .. } | Self::ShorterSide { .. } | Self::ShorterSideCapped { .. } => {
                None
            }
        }
    }
}

impl PixelRecipe {
    /// `(height, width)` of [`apply`](Self::apply)'s result, from the size of a picture.
    pub fn size(&self, height: u32, width: u32) -> Result<(u32, u32), MediaError> {
        let target = self.resize.target(height, width)?;
        Ok(self.crop.unwrap_or(target))
    }

    /// Resizes, cuts and normalises a picture.
    pub fn apply(&self, image: &Rgb) -> Result<Pixels, MediaError> {
        image.check()?;
        let (height, width) = self.resize.target(image.height, image.width)?;
        let in_floats = |between| {
            let levels = resize_float(image, between, width, height);
            Ok(self.normalise((height, width), |channel, at| {
                self.value(channel, at.map_or(0.0, |at| levels[at]))
            }))
        };
        let falloff = match self.filter {
            Filter::Bicubic8 => Falloff::Cubic,
            Filter::Bilinear8 => Falloff::Linear,
            Filter::CubicF32 => return in_floats(Between::Cubic),
            Filter::LinearF32 => return in_floats(Between::Line),
        };
        let resized;
        let levels = if (height, width) == (image.height, image.width) {
            &image.data
        } else {
            resized = resize_by(image, falloff, width, height);
            &resized.data
        };
        let values: [[f32; 256]; 3] =
            std::array::from_fn(|channel| std::array::from_fn(|level| self.value(channel, level as f32)));
        Ok(self.normalise((height, width), |channel, at| {
            values[channel][at.map_or(0, |at| usize::from(levels[at]))]
        }))
    }

    fn value(&self, channel: usize, level: f32) -> f32 {
        (level * self.rescale - self.mean[channel]) / self.std[channel]
    }

    /// The planes of the cut, from interleaved levels of `size`: `value` takes a channel and the place of a level, or
    /// none outside the picture.
    fn normalise(&self, size: (u32, u32), value: impl Fn(usize, Option<usize>) -> f32) -> Pixels {
        let (height, width) = self.crop.unwrap_or(size);
        let offset = |from: u32, to: u32| {
            let spare = i64::from(from) - i64::from(to);
            match self.crop_to_even {
                // Missing rows and columns are added after the picture first.
                true if spare < 0 => spare / 2,
                true => spare / 2 + i64::from(spare % 4 == 3),
                // Rounded down also where there is less than is asked for.
                false => spare.div_euclid(2),
            }
        };
        let (top, left) = (offset(size.0, height), offset(size.1, width));
        let inside = |at: u32, offset: i64, side: u32| {
            let at = i64::from(at) + offset;
            (0..i64::from(side)).contains(&at).then_some(at as usize)
        };
        let mut values = Vec::with_capacity(3 * height as usize * width as usize);
        for channel in 0..3 {
            for y in (0..height).map(|y| inside(y, top, size.0)) {
                values.extend((0..width).map(|x| {
                    let place = y.zip(inside(x, left, size.1));
                    value(
                        channel,
                        place.map(|(y, x)| (y * size.1 as usize + x) * 3 + channel),
                    )
                }));
            }
        }
        Pixels {
            height: height as usize,
            width: width as usize,
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values are levels.
    const PLAIN: PixelRecipe = PixelRecipe {
        resize: Resize::Keep,
        crop: None,
        crop_to_even: false,
        filter: Filter::Bicubic8,
        rescale: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    };

    /// A picture whose level encodes position and channel: 10 y + x, plus 100 per channel.
    fn picture(width: u32, height: u32) -> Rgb {
        let levels =
            (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| 100 * c + 10 * y + x)));
        Rgb::new(width, height, levels.map(|level| level as u8).collect()).unwrap()
    }

    #[test]
    fn planes_follow_each_other() {
        let pixels = PLAIN.apply(&picture(3, 2)).unwrap();
        assert_eq!((pixels.height, pixels.width), (2, 3));
        #[rustfmt::skip]
        assert_eq!(pixels.values, [
            0., 1., 2., 10., 11., 12.,
            100., 101., 102., 110., 111., 112.,
            200., 201., 202., 210., 211., 212.,
        ]);
    }

    #[test]
    fn levels_are_scaled_then_normalised() {
        let recipe = PixelRecipe {
            rescale: 0.5,
            mean: [1.0, 2.0, 3.0],
            std: [1.0, 2.0, 4.0],
            ..PLAIN
        };
        for filter in [
            Filter::Bicubic8,
            Filter::Bilinear8,
            Filter::CubicF32,
            Filter::LinearF32,
        ] {
            let recipe = PixelRecipe {
                filter,
                ..recipe.clone()
            };
            let pixels = recipe.apply(&Rgb::filled(1, 1, [4, 8, 14])).unwrap();
            assert_eq!(pixels.values, [1.0, 1.0, 1.0], "{filter:?}");
        }
    }

    #[test]
    fn the_cut_is_centred_and_black_outside() {
        let cut = |crop, width, height| {
            let recipe = PixelRecipe {
                crop: Some(crop),
                ..PLAIN
            };
            recipe.apply(&picture(width, height)).unwrap().values[..(crop.0 * crop.1) as usize].to_vec()
        };
        for (crop, width, height, expected) in [
            ((2, 2), 4, 4, vec![11., 12., 21., 22.]),
            // One to spare: it is left at the right and at the bottom.
            ((2, 2), 3, 3, vec![0., 1., 10., 11.]),
            ((1, 2), 5, 4, vec![11., 12.]),
            // One too few: the black line comes first.
            ((1, 4), 3, 1, vec![0., 0., 1., 2.]),
            ((3, 3), 2, 2, vec![0., 0., 0., 0., 0., 1., 0., 10., 11.]),
            ((1, 5), 2, 1, vec![0., 0., 0., 1., 0.]),
            // Too wide, not high enough.
            ((3, 1), 3, 2, vec![0., 1., 11.]),
        ] {
            assert_eq!(
                cut(crop, width, height),
                expected,
                "{crop:?} of {width} x {height}"
            );
        }
    }

    #[test]
    fn the_middle_of_an_odd_surplus() {
        for (to_even, width, expected) in [
            (false, 3, 0.),
            (false, 5, 1.),
            (false, 7, 2.),
            (true, 3, 0.),
            (true, 4, 1.),
            (true, 5, 2.),
            (true, 7, 2.),
            (true, 9, 4.),
        ] {
            let recipe = PixelRecipe {
                crop: Some((1, 2)),
                crop_to_even: to_even,
                ..PLAIN
            };
            let first = recipe.apply(&picture(width, 1)).unwrap().values[0];
            assert_eq!(first, expected, "{width} px, to the even: {to_even}");
        }
    }

    #[test]
    fn target_sizes() {
        let bounded = Resize::ShorterSideBounded {
            shorter: 384,
            bound: (1333, 800),
            multiple: 32,
        };
        let floor = Resize::LongerSide {
            longest: 1024,
            patch: 16,
        };
        let round = Resize::LongerSideRounded {
            longest: 1024,
            patch: 16,
        };
        let short = Resize::ShorterSide { to: 224 };
        let capped = Resize::ShorterSideCapped {
            shorter: 800,
            longer: 1333,
        };
        for (rule, from, expected) in [
            (Resize::Keep, (3, 5), (3, 5)),
            (Resize::Exact { height: 7, width: 9 }, (3, 5), (7, 9)),
            (short, (100, 100), (224, 224)),
            (short, (3, 7), (224, 522)),
            (short, (7, 3), (522, 224)),
            (short, (1601, 40), (8965, 224)),
            (bounded, (98, 126), (384, 480)),
            (bounded, (42, 70), (352, 608)),
            (capped, (600, 800), (800, 1067)),
            (capped, (100, 400), (333, 1333)),
            (capped, (1333, 800), (1333, 800)),
            (floor, (1600, 40), (1024, 32)),
            (floor, (2497, 169), (1024, 80)),
            (round, (2497, 169), (1024, 80)),
            (round, (1, 30_000), (16, 1024)),
        ] {
            assert_eq!(rule.target(from.0, from.1), Ok(expected), "{rule:?} {from:?}");
        }
        assert_eq!(
            (bounded.multiple(), floor.multiple(), short.multiple()),
            (Some(32), Some(16), None)
        );
    }

    #[test]
    fn refusals_say_what_becomes_of_the_sides() {
        let bounded = Resize::ShorterSideBounded {
            shorter: 384,
            bound: (1333, 800),
            multiple: 32,
        };
        let error = bounded.target(1600, 40).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the picture is too narrow for this model: expected sides of at least 1 px after the resize, found \
             0 x 608 px, from 40 x 1600 px"
        );
        let floor = Resize::LongerSide {
            longest: 1024,
            patch: 16,
        };
        assert!(matches!(
            floor.target(1, 30_000),
            Err(MediaError::SideVanishes { .. })
        ));
        let short = Resize::ShorterSide { to: 4096 };
        let error = short.target(100, 20_000).unwrap_err();
        assert!(matches!(error, MediaError::ResizedTooLarge { .. }), "{error}");
        assert!(short.target(1, u32::MAX).is_err());
        for resize in [Resize::Keep, short, floor, bounded] {
            let recipe = PixelRecipe { resize, ..PLAIN };
            let empty = recipe.apply(&Rgb::filled(0, 4, [0; 3]));
            assert!(matches!(empty, Err(MediaError::NoPixels { .. })), "{resize:?}");
        }
        let short = Rgb {
            width: 2,
            height: 2,
            data: vec![0; 5],
        };
        assert!(matches!(
            PLAIN.apply(&short),
            Err(MediaError::BufferLength { .. })
        ));
    }
}
