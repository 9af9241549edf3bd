//! The size that a picture is brought to before it is cut into patches.

use crate::MediaError;

/// Longer side over shorter side that the rule is defined for.
const MAX_ASPECT_RATIO: u32 = 200;

/// The size `(height, width)` a picture is resized to: multiples of `factor` px, between `min_pixels` and
/// `max_pixels` in all, close to the shape of the original.
///
/// The published rule of the Qwen2-VL family: each side is rounded to the nearest multiple, halves to the even one;
/// when the area is then too large the sides are scaled down and rounded down (but not below `factor`), when it is
/// too small they are scaled up and rounded up. Refused: an aspect ratio above 200, empty pictures, and sizes that
/// do not fit 32 bits.
pub fn smart_resize(
    height: u32,
    width: u32,
    factor: u32,
    min_pixels: u64,
    max_pixels: u64,
) -> Result<(u32, u32), MediaError> {
    if height == 0 || width == 0 {
        return Err(MediaError::NoPixels { width, height });
    }
    let (long, short) = (height.max(width), height.min(width));
    if u64::from(long) > u64::from(short) * u64::from(MAX_ASPECT_RATIO) {
        return Err(MediaError::TooNarrow {
            width,
            height,
            allowed: MAX_ASPECT_RATIO,
        });
    }
    // Doubles throughout, in the order of the published rule: the results are floors of these very quotients.
    let (h, w, unit) = (f64::from(height), f64::from(width), f64::from(factor));
    let mut sides = [h, w].map(|side| (side / unit).round_ties_even() * unit);
    let area = sides[0] * sides[1];
    if area > max_pixels as f64 {
        let shrink = (h * w / max_pixels as f64).sqrt();
        sides = [h, w].map(|side| ((side / shrink / unit).floor() * unit).max(unit));
    } else if area < min_pixels as f64 {
        let grow = (min_pixels as f64 / (h * w)).sqrt();
        sides = [h, w].map(|side| (side * grow / unit).ceil() * unit);
    }
    // A side rounds to 0 only where there is no least area.
    let sides = sides.map(|side| side.max(unit));
    match sides
        .iter()
        .find(|&&side| side.is_nan() || side > f64::from(i32::MAX))
    {
        None => Ok((sides[0] as u32, sides[1] as u32)),
        Some(_) => Err(MediaError::SideTooLong {
            width,
            height,
            allowed: i32::MAX as u32,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_sizes() {
        for (size, expected) in [
            ((28, 28), (56, 56)),
            ((784, 1092), (784, 1092)),
            // 42 / 28 = 1.5 rounds to 2, 70 / 28 = 2.5 rounds to 2.
            ((42, 700), (56, 700)),
            ((70, 700), (56, 700)),
        ] {
            assert_eq!(
                smart_resize(size.0, size.1, 28, 3136, 12_845_056),
                Ok(expected),
                "{size:?}"
            );
        }
    }

    #[test]
    fn refusals_name_what_is_wrong() {
        let error = smart_resize(1, 201, 28, 3136, 12_845_056).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the picture is too narrow: expected an aspect ratio of at most 200, found 201 x 1 px"
        );
        assert!(smart_resize(1, 200, 28, 3136, 12_845_056).is_ok());
        assert_eq!(
            smart_resize(0, 5, 28, 1, 9),
            Err(MediaError::NoPixels { width: 5, height: 0 })
        );
        assert!(matches!(
            smart_resize(9, 9, 28, u64::MAX, u64::MAX),
            Err(MediaError::SideTooLong { .. })
        ));
    }

    proptest! {
        #[test]
        fn within_bounds(height in 1u32..5000, width in 1u32..5000, factor in 1u32..60) {
            prop_assume!(height.max(width) <= height.min(width) * 200);
            let (min, max) = (4 * u64::from(factor).pow(2), 1600 * u64::from(factor).pow(2));
            let (h, w) = smart_resize(height, width, factor, min, max).unwrap();
            prop_assert!(h > 0 && w > 0 && h % factor == 0 && w % factor == 0);
            let area = u64::from(h) * u64::from(w);
            // The upper bound is exceeded only where a side is clamped to one factor.
            prop_assert!(area >= min && (area <= max || h.min(w) == factor), "{}", area);
            // Idempotent: a picture of the resulting size keeps it.
            if area <= max && h.max(w) <= h.min(w) * 200 {
                prop_assert_eq!(smart_resize(h, w, factor, min, max).unwrap(), (h, w));
            }
        }
    }
}
