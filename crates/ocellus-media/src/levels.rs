//! Levels as a file stores them to 8-bit RGB.

use image::ColorType;

/// Levels that cannot be told from white by a reader.
const NEARLY_WHITE: u8 = 225;

/// 8-bit RGB of any integer picture, of its samples as they lie in memory; `None` for floating-point ones.
pub(crate) fn to_rgb(samples: Vec<u8>, colour: ColorType) -> Option<Vec<u8>> {
    Some(match colour {
        ColorType::Rgb8 => samples,
        ColorType::Rgba8 => over_ground::<4>(&samples),
        ColorType::L8 => triple(&samples),
        ColorType::La8 => over_ground::<2>(&samples),
        ColorType::Rgb16 => {
            let mut levels = high(samples, 3, 3);
            // The half that is not used any more.
            levels.shrink_to_fit();
            levels
        }
        ColorType::Rgba16 => over_ground::<4>(&high(samples, 4, 3)),
        ColorType::L16 => triple(&high(samples, 1, 1)),
        ColorType::La16 => over_ground::<2>(&high(samples, 2, 1)),
        _ => return None,
    })
}

/// The high byte of every level of 16 bits, in place, after levels that use no more than 8 to 12 of the 16 bits have been moved up. Of
/// `channels` samples the first `coloured` are colours; alpha, if any, is judged by itself.
fn high(mut samples: Vec<u8>, channels: usize, coloured: usize) -> Vec<u8> {
    let level =
        |samples: &[u8], index: usize| u16::from_ne_bytes([samples[2 * index], samples[2 * index + 1]]);
    let count = samples.len() / 2;
    let shift = |of: &dyn Fn(usize) -> bool| {
        let chosen = (0..count).filter(|index| of(index % channels));
        let most = chosen.map(|index| level(&samples, index)).max().unwrap_or(0);
        match most {
            0 => 8,
            1..0x1000 => (16 - most.leading_zeros()).saturating_sub(8),
            0x1000.. => 8,
        }
    };
    let (colours, alpha) = (
        shift(&|channel| channel < coloured),
        shift(&|channel| channel >= coloured),
    );
    for index in 0..count {
        let shift = if index % channels < coloured {
            colours
        } else {
            alpha
        };
        samples[index] = (level(&samples, index) >> shift) as u8;
    }
    samples.truncate(count);
    samples
}

fn triple(levels: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(levels.len() * 3);
    out.extend(levels.iter().flat_map(|&level| [level; 3]));
    out
}

fn colours<const CHANNELS: usize>(pixel: &[u8; CHANNELS]) -> [u8; 3] {
    if CHANNELS == 4 {
        [pixel[0], pixel[1], pixel[2]]
    } else {
        [pixel[0]; 3]
    }
}

/// Lays pixels of `CHANNELS` channels, the last of them alpha, over white; over black where white would hide them.
fn over_ground<const CHANNELS: usize>(levels: &[u8]) -> Vec<u8> {
    let pixels = levels.as_chunks::<CHANNELS>().0;
    let ground = if is_lost_on_white(pixels) { 0 } else { 255 };
    let mut out = Vec::with_capacity(pixels.len() * 3);
    for pixel in pixels {
        let alpha = u32::from(pixel[CHANNELS - 1]);
        out.extend(
            colours(pixel).map(|level| divide_by_255(u32::from(level) * alpha + ground * (255 - alpha))),
        );
    }
    out
}

/// Whether at least a third of a picture is transparent and nearly all that is not is white.
fn is_lost_on_white<const CHANNELS: usize>(pixels: &[[u8; CHANNELS]]) -> bool {
    let (mut clear, mut white, mut seen) = (0usize, 0u64, 0u64);
    for pixel in pixels {
        let alpha = pixel[CHANNELS - 1];
        clear += usize::from(alpha < 128);
        seen += u64::from(alpha);
        if colours(pixel).iter().all(|&level| level >= NEARLY_WHITE) {
            white += u64::from(alpha);
        }
    }
    clear * 3 >= pixels.len() && seen > 0 && white * 20 >= seen * 19
}

/// The nearest integer to `value / 255`, for values up to 255 * 255.
fn divide_by_255(value: u32) -> u8 {
    let biased = value + 128;
    ((biased + (biased >> 8)) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(levels: &[u16]) -> Vec<u8> {
        levels.iter().flat_map(|level| level.to_ne_bytes()).collect()
    }

    #[test]
    fn division_rounds_to_nearest() {
        for value in 0..=255 * 255u32 {
            assert_eq!(
                u32::from(divide_by_255(value)),
                (value * 2 + 255) / 510,
                "{value}"
            );
        }
    }

    #[test]
    fn alpha_is_laid_over_white_unless_that_hides_the_picture() {
        for (pixels, expected) in [
            (
                vec![10, 20, 30, 255, 10, 20, 30, 0],
                vec![10, 20, 30, 255, 255, 255],
            ),
            // White letters.
            (vec![255, 255, 255, 255, 0, 0, 0, 0], vec![255, 255, 255, 0, 0, 0]),
            // Grey ones are seen on white.
            (
                vec![200, 200, 200, 255, 0, 0, 0, 0],
                vec![200, 200, 200, 255, 255, 255],
            ),
            // Nothing to see at all; no transparency.
            (vec![255, 255, 255, 0, 255, 255, 255, 0], vec![255; 6]),
            (vec![255; 8], vec![255; 6]),
        ] {
            assert_eq!(over_ground::<4>(&pixels), expected, "{pixels:?}");
        }
        assert_eq!(over_ground::<2>(&[0, 128]), [127; 3]);
        assert_eq!(over_ground::<2>(&[255, 255, 255, 0]), [255, 255, 255, 0, 0, 0]);
    }

    #[test]
    fn bits_that_are_not_used_are_no_darkness() {
        for (levels, expected) in [
            (vec![0, 0x8000, 0xffff], vec![0, 0x80, 0xff]),
            // Twelve, ten and eight bits in sixteen.
            (vec![0, 0x0800, 0x0fff], vec![0, 0x80, 0xff]),
            (vec![0, 0x0200, 0x03ff], vec![0, 0x80, 0xff]),
            (vec![0, 0x80, 0xff], vec![0, 0x80, 0xff]),
            // Fourteen may be a dark picture.
            (vec![0, 0x3fff, 0], vec![0, 0x3f, 0]),
            (vec![0, 0, 0], vec![0, 0, 0]),
        ] {
            assert_eq!(high(bytes(&levels), 1, 1), expected);
        }
        // Alpha keeps its own depth.
        assert_eq!(
            high(bytes(&[0x0fff, 0xffff, 0x0800, 0]), 2, 1),
            [255, 255, 128, 0]
        );
    }
}
