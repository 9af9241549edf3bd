//! A picture to measure with: the same on every machine, and neither trivial nor impossible to compress.

use crate::Rgb;

/// Rectangles on a card.
const RECTANGLES: u64 = 20;

/// A gradient under rectangles of one colour each, under noise of about a thirtieth of the range. One seed, one picture.
pub fn test_card(width: u32, height: u32, seed: u64) -> Rgb {
    let (mut noise, mut data) = (
        Noise(seed),
        Vec::with_capacity(width as usize * height as usize * 3),
    );
    let rectangles: Vec<Rectangle> = (0..RECTANGLES)
        .map(|_| Rectangle::new(&mut noise, width, height))
        .collect();
    let ramp = |at: u32, length: u32| (u64::from(at) * 255 / u64::from(length.max(1))) as u8;
    for y in 0..height {
        for x in 0..width {
            let covered = rectangles.iter().rev().find(|r| r.covers(x, y));
            let colour = covered.map_or(
                [
                    ramp(x, width),
                    ramp(y, height),
                    ramp((x / 2) + (y / 2), width / 2 + height / 2 + 1),
                ],
                |r| r.colour,
            );
            data.extend(colour.map(|level| level.saturating_add_signed(noise.level())));
        }
    }
    Rgb { width, height, data }
}

struct Rectangle {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
    colour: [u8; 3],
}

impl Rectangle {
    fn new(noise: &mut Noise, width: u32, height: u32) -> Self {
        let mut below = |bound: u32| (noise.next() % u64::from(bound.max(1))) as u32;
        let (left, top) = (below(width), below(height));
        let right = left + 1 + below(width / 5);
        let bottom = top + 1 + below(height / 5);
        let colour = [below(256) as u8, below(256) as u8, below(256) as u8];
        Self {
            left,
            top,
            right,
            bottom,
            colour,
        }
    }

    fn covers(&self, x: u32, y: u32) -> bool {
        (self.left..self.right).contains(&x) && (self.top..self.bottom).contains(&y)
    }
}

/// SplitMix64 (Steele et al. 2014).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// About normal, standard deviation 8: the sum of four uniform numbers.
    fn level(&mut self) -> i8 {
        let bits = self.next();
        let sum: i32 = (0..4).map(|i| ((bits >> (16 * i)) % 28) as i32).sum();
        (sum / 2 - 27) as i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_picture_and_another_is_another() {
        let card = test_card(64, 48, 1);
        assert_eq!((card.width, card.height, card.data.len()), (64, 48, 64 * 48 * 3));
        assert_eq!(card, test_card(64, 48, 1));
        assert_ne!(card, test_card(64, 48, 2));
        assert_eq!(test_card(1, 1, 0).data.len(), 3);
    }

    #[test]
    fn the_noise_has_about_the_stated_spread() {
        let mut noise = Noise(3);
        let levels: Vec<f64> = (0..10_000).map(|_| f64::from(noise.level())).collect();
        let mean = levels.iter().sum::<f64>() / 1e4;
        let spread = (levels.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 1e4).sqrt();
        assert!(
            mean.abs() < 1.0 && (7.0..9.5).contains(&spread),
            "{mean} {spread}"
        );
    }
}
