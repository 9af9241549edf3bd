//! Target sizes of vision towers that do not follow [`smart_resize`](crate::smart_resize): integers in, integers out.
//!
//! Each rule is the published one to the last unit, rounding included, because a picture that is one row larger gives
//! other patches. Sides are in px; `None` where a rule divides by a side or a bound that is 0.

/// `(height, width)`: shrunk where a side is longer than `longest`, rounded down, then each side rounded up to a multiple
/// of `patch`. Small pictures keep their size up to that.
pub fn fit_longer_side(height: u32, width: u32, longest: u32, patch: u32) -> Option<(u32, u32)> {
    if height == 0 || width == 0 || longest == 0 || patch == 0 {
        return None;
    }
    let (mut sides, bound) = ([height, width], f64::from(longest));
    let ratio = (f64::from(height) / bound).max(f64::from(width) / bound);
    if ratio > 1.0 {
        sides = sides.map(|side| (f64::from(side) / ratio).floor() as u32);
    }
    let [height, width] = sides.map(|side| side.div_ceil(patch).saturating_mul(patch));
    Some((height, width))
}

/// `(rows, columns)` of tokens: shrunk where a side is longer than `longest`, rounded half to even but not below 1 px,
/// then counted in patches, the last one begun being one.
pub fn token_grid(height: u32, width: u32, longest: u32, patch: u32) -> Option<(u32, u32)> {
    if height == 0 || width == 0 || longest == 0 || patch == 0 {
        return None;
    }
    let (mut sides, bound) = ([height, width], f64::from(longest));
    let ratio = (f64::from(height) / bound).max(f64::from(width) / bound);
    if ratio > 1.0 {
        sides = sides.map(|side| ((f64::from(side) / ratio).round_ties_even() as u32).max(1));
    }
    let [rows, columns] = sides.map(|side| side.div_ceil(patch));
    Some((rows, columns))
}

/// `(height, width)`: the shorter side brought to `to`, the longer one in proportion, rounded down.
pub fn shorter_side(height: u32, width: u32, to: u32) -> Option<(u32, u32)> {
    let (short, long) = (height.min(width), height.max(width));
    if short == 0 {
        return None;
    }
    let long = u64::from(to) * u64::from(long) / u64::from(short);
    let long = u32::try_from(long).unwrap_or(u32::MAX);
    Some(if width <= height { (long, to) } else { (to, long) })
}

/// `(height, width)`: the shorter side brought to `shorter`, then both shrunk where the longer one is above `longer`,
/// rounded half up, and cut to multiples of `multiple`. A side may vanish: then it is 0.
pub fn fit_shorter_side(
    height: u32,
    width: u32,
    shorter: u32,
    longer: u32,
    multiple: u32,
) -> Option<(u32, u32)> {
    if height == 0 || width == 0 || multiple == 0 {
        return None;
    }
    let (h, w, target) = (f64::from(height), f64::from(width), f64::from(shorter));
    // The short side is set rather than computed, so that rounding cannot move it.
    let scale = target / h.min(w);
    let mut sides = if height < width {
        [target, scale * w]
    } else {
        [scale * h, target]
    };
    let longest = sides[0].max(sides[1]);
    if longest > f64::from(longer) {
        let scale = f64::from(longer) / longest;
        sides = sides.map(|side| side * scale);
    }
    let [height, width] = sides.map(|side| (side + 0.5).floor() as u32 / multiple * multiple);
    Some((height, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_side_bound_rounds_down_then_up_to_patches() {
        for (size, expected) in [
            ((42, 70), (48, 80)),
            ((14, 14), (16, 16)),
            ((1024, 1024), (1024, 1024)),
            ((1025, 1023), (1024, 1024)),
            ((1600, 40), (1024, 32)),
            ((700, 3000), (240, 1024)),
        ] {
            assert_eq!(
                fit_longer_side(size.0, size.1, 1024, 16),
                Some(expected),
                "{size:?}"
            );
        }
    }

    #[test]
    fn tokens_are_patches_begun() {
        // 169 px shrink to 69.3, which is 5 patches; 30 px of 5999 to 5.1, which is 1.
        for (size, expected) in [
            ((42, 70), (3, 5)),
            ((2497, 169), (64, 5)),
            ((30, 5999), (1, 64)),
            ((1, 150), (1, 10)),
        ] {
            assert_eq!(token_grid(size.0, size.1, 1024, 16), Some(expected), "{size:?}");
        }
        assert_eq!(
            token_grid(1, 100_000, 1024, 16),
            Some((1, 64)),
            "a side never vanishes"
        );
    }

    #[test]
    fn shorter_side_first_then_the_bound_of_the_longer() {
        for (size, expected) in [
            ((56, 56), (384, 384)),
            ((98, 126), (384, 480)),
            ((42, 70), (352, 608)),
            ((1600, 40), (608, 0)),
            ((1027, 1393), (384, 512)),
        ] {
            assert_eq!(
                fit_shorter_side(size.0, size.1, 384, 639, 32),
                Some(expected),
                "{size:?}"
            );
        }
    }

    #[test]
    fn nothing_divides_by_zero() {
        for (h, w, bound, unit) in [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 1, 0)] {
            assert_eq!(fit_longer_side(h, w, bound, unit), None);
            assert_eq!(token_grid(h, w, bound, unit), None);
            assert_eq!(fit_shorter_side(h, w, bound, bound, unit), None);
        }
        assert_eq!(fit_longer_side(1, 1, 0, 1), None);
        assert_eq!(token_grid(1, 1, 0, 1), None);
    }
}
