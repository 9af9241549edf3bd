//! A line of text as input of a line reader: dark ink on white, of a given height.
//!
//! Page reading and the making of training pictures both go through these functions, so what the model sees does
//! not depend on where a strip came from.

use crate::{Gray, Rgb, resize_gray};

/// Strips whose darkest and lightest levels are closer than this hold nothing but noise.
const FLAT_LEVELS: u8 = 12;
/// One pixel in this many may be darker than what becomes black: a speck is not ink, a full stop is.
const DARK_SHARE: usize = 256;
/// One pixel in this many may be lighter than what becomes white. Paper is never less than half of a strip, so a
/// generous share takes its texture away and leaves the ink alone.
const LIGHT_SHARE: usize = 16;

/// Luma of ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B, in 16-bit fixed point, rounded.
pub fn luma(image: &Rgb) -> Gray {
    let level = |pixel: &[u8]| {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
        ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
    };
    Gray {
        width: image.width,
        height: image.height,
        data: image.data.chunks_exact(3).map(level).collect(),
    }
}

/// Dark ink on white, whatever the colours were.
///
/// A strip whose ground is darker than its ink is inverted; then the levels are stretched so that the darkest
/// become 0 and the ground becomes 255. A strip with next to no contrast comes back white. Same size as the input.
pub fn normalise(strip: &Gray) -> Gray {
    let counts = histogram(strip.data.iter().copied());
    let pixels = strip.data.len();
    // The extremes, less specks, at both ends: the polarity is not known yet.
    let dark = level_at(&counts, pixels / DARK_SHARE);
    let light = level_at(&counts, (pixels - pixels / DARK_SHARE).saturating_sub(1));
    if light.saturating_sub(dark) < FLAT_LEVELS {
        return Gray::filled(strip.width, strip.height, 255);
    }
    let middle = dark + (light - dark) / 2;
    let inverted = ground_is_dark(strip, middle);
    let counts = if inverted {
        histogram(strip.data.iter().map(|level| 255 - level))
    } else {
        counts
    };
    let black = level_at(&counts, pixels / DARK_SHARE);
    let white = level_at(&counts, (pixels - pixels / LIGHT_SHARE).saturating_sub(1));
    // A strip with ink on more than 15/16 of it would put both ends into the ink.
    let white = if white.saturating_sub(black) < FLAT_LEVELS {
        black.saturating_add(FLAT_LEVELS)
    } else {
        white
    };

    let range = u32::from(white - black);
    let table: Vec<u8> = (0..=255u8)
        .map(|level| {
            let level = if inverted { 255 - level } else { level };
            let above = u32::from(level.saturating_sub(black)).min(range);
            ((above * 255 + range / 2) / range) as u8
        })
        .collect();
    Gray {
        width: strip.width,
        height: strip.height,
        data: strip
            .data
            .iter()
            .map(|&level| table[usize::from(level)])
            .collect(),
    }
}

/// Whether the ground, not the ink, is below `middle`.
///
/// Two witnesses, by share of dark pixels: the frame, where there should be no ink, and the whole strip, of which
/// ink should be the smaller part. Either alone is fooled at times, by a neighbour's descenders or by heavy type.
fn ground_is_dark(strip: &Gray, middle: u8) -> bool {
    let (width, height) = (strip.width as usize, strip.height as usize);
    let share = |dark: usize, of: usize| dark as f64 / of.max(1) as f64;
    let is_dark = |level: &&u8| **level <= middle;

    let first = strip.data[..width].iter();
    let last = strip.data[(height - 1) * width..].iter();
    let left = strip.data.iter().step_by(width);
    let right = strip.data[width - 1..].iter().step_by(width);
    let frame = share(
        first.chain(last).chain(left).chain(right).filter(is_dark).count(),
        2 * (width + height),
    );
    let whole = share(strip.data.iter().filter(is_dark).count(), strip.data.len());
    frame + whole > 1.0
}

/// Adds white columns on the right until the width is a multiple of `multiple` px.
pub fn pad_right(strip: &Gray, multiple: u32) -> Gray {
    let width = strip.width.next_multiple_of(multiple.max(1));
    if width == strip.width {
        return strip.clone();
    }
    let mut data = Vec::with_capacity(width as usize * strip.height as usize);
    for row in strip.data.chunks_exact(strip.width.max(1) as usize) {
        data.extend_from_slice(row);
        data.resize(data.len() + (width - strip.width) as usize, 255);
    }
    Gray {
        width,
        height: strip.height,
        data,
    }
}

/// Resizes to `height` px, keeping the shape; a strip that would become wider than `max_width` px is squeezed.
///
/// The strip must not be empty, `height` and `max_width` must be at least 1.
pub fn to_height(strip: &Gray, height: u32, max_width: u32) -> Gray {
    let width = width_at(strip.width, strip.height, height, max_width);
    resize_gray(strip, width, height)
}

/// The width that [`to_height`] gives a strip of `width` x `own_height` px.
pub fn width_at(width: u32, own_height: u32, height: u32, max_width: u32) -> u32 {
    let exact = f64::from(width) * f64::from(height) / f64::from(own_height.max(1));
    (exact.round() as u32).clamp(1, max_width.max(1))
}

fn histogram(levels: impl Iterator<Item = u8>) -> [usize; 256] {
    let mut counts = [0; 256];
    for level in levels {
        counts[usize::from(level)] += 1;
    }
    counts
}

/// The level of the pixel that has `rank` pixels before it in order of lightness.
fn level_at(counts: &[usize; 256], rank: usize) -> u8 {
    let mut before = 0;
    for (level, &count) in (0..=255u8).zip(counts) {
        before += count;
        if before > rank {
            return level;
        }
    }
    255
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A ground with a bar of ink that has a margin all around.
    fn bar(ground: u8, ink: u8) -> Gray {
        let mut strip = Gray::filled(60, 28, ground);
        for y in 8..20 {
            strip.data[y * 60 + 10..y * 60 + 50].fill(ink);
        }
        strip
    }

    #[test]
    fn luma_of_known_colours() {
        let colours = [
            ([0; 3], 0),
            ([255; 3], 255),
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
        ];
        for (colour, expected) in colours {
            assert_eq!(luma(&Rgb::filled(1, 1, colour)).data, [expected], "{colour:?}");
        }
    }

    #[test]
    fn every_pair_of_colours_becomes_black_on_white() {
        let expected = bar(255, 0);
        for (ground, ink) in [
            (255, 0),
            (0, 255),
            (200, 160),
            (30, 60),
            (128, 100),
            (100, 128),
            (250, 238),
        ] {
            assert_eq!(
                normalise(&bar(ground, ink)).data,
                expected.data,
                "ink {ink} on {ground}"
            );
        }
    }

    #[test]
    fn a_flat_strip_is_white() {
        for level in [0, 7, 128, 255] {
            assert_eq!(normalise(&Gray::filled(9, 5, level)).data, vec![255; 45]);
        }
        let noise = Gray {
            width: 64,
            height: 4,
            data: (0..=255u32).map(|at| 180 + (at * 7 % 9) as u8).collect(),
        };
        assert_eq!(normalise(&noise).data, vec![255; 256]);
        assert!(normalise(&Gray::filled(0, 0, 0)).data.is_empty());
        assert_eq!(normalise(&Gray::filled(1, 1, 3)).data, [255]);
    }

    #[test]
    fn a_full_stop_is_ink_and_a_speck_is_not() {
        let mut strip = Gray::filled(28, 28, 240);
        strip.data[400] = 0;
        assert_eq!(normalise(&strip).data, vec![255; 784]);
        for y in 20..23 {
            strip.data[y * 28 + 10..y * 28 + 13].fill(40);
        }
        let stretched = normalise(&strip);
        assert_eq!((stretched.pixel(11, 21), stretched.pixel(2, 2)), (0, 255));
    }

    #[test]
    fn heavy_type_is_not_taken_for_a_dark_ground() {
        // 60 % ink, but a light frame.
        let mut strip = Gray::filled(50, 28, 220);
        for y in 2..26 {
            strip.data[y * 50 + 3..y * 50 + 38].fill(20);
        }
        assert_eq!(normalise(&strip).pixel(0, 0), 255);
        // Letters of the line below reach into the frame of a strip with little ink of its own.
        let mut strip = bar(220, 20);
        strip.data[27 * 60..].fill(20);
        assert_eq!(normalise(&strip).pixel(0, 0), 255);
    }

    #[test]
    fn padding_is_white_and_on_the_right() {
        let strip = Gray::new(2, 2, vec![1, 2, 3, 4]).unwrap();
        let padded = pad_right(&strip, 3);
        assert_eq!(
            (padded.width, padded.height, padded.data),
            (3, 2, vec![1, 2, 255, 3, 4, 255])
        );
        for multiple in [0, 1, 2] {
            assert_eq!(pad_right(&strip, multiple), strip);
        }
    }

    #[test]
    fn height_is_exact_and_shape_is_kept() {
        for (from, height, max_width, expected) in [
            ((100, 50), 28, 448, (56, 28)),
            ((1000, 10), 28, 448, (448, 28)),
            ((1, 300), 28, 448, (1, 28)),
            ((28, 28), 28, 448, (28, 28)),
        ] {
            let strip = to_height(&Gray::filled(from.0, from.1, 9), height, max_width);
            assert_eq!((strip.width, strip.height), expected);
            assert!(strip.data.iter().all(|&level| level == 9));
        }
    }

    proptest! {
        #[test]
        fn any_strip_is_accepted_and_keeps_its_size(
            width in 1u32..40, data in proptest::collection::vec(any::<u8>(), 1..200),
        ) {
            let height = data.len() as u32 / width;
            let data = data[..(width * height) as usize].to_vec();
            let strip = Gray { width: if height == 0 { 0 } else { width }, height, data };
            let out = normalise(&strip);
            prop_assert_eq!((out.width, out.height, out.data.len()), (strip.width, strip.height, strip.data.len()));
        }
    }
}
