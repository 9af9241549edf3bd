//! A small generator of random numbers that stays the same for ever, so that a seed names its samples.
//!
//! xoshiro256++ (D. Blackman and S. Vigna, *Scrambled linear pseudorandom number generators*, 2021), seeded through
//! SplitMix64. The streams of different sample indices are independent for all practical purposes.

/// The state of one stream.
#[derive(Debug, Clone)]
pub(crate) struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The stream of sample `index` under `seed`.
    pub(crate) fn stream(seed: u64, index: u64) -> Self {
        let mut word = seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        let mut state = [0; 4];
        for slot in &mut state {
            word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = word;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *slot = z ^ (z >> 31);
        }
        Self { state }
    }

    pub(crate) fn next(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in the logarithm between `low` and `high`, both positive.
    pub(crate) fn log_between(&mut self, low: f32, high: f32) -> f32 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// Uniform below `bound`, which must not be 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Uniform between `low` and `high`, both included.
    pub(crate) fn int(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// An index of `weights`, with the probability that its weight gives it.
    pub(crate) fn weighted(&mut self, weights: &[f32]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f32>();
        for (i, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return i;
            }
        }
        weights.len() - 1
    }

    /// Roughly normal with mean 0 and deviation 1: the sum of 4 uniforms, which is quick and has no far tails.
    pub(crate) fn normal(&mut self) -> f32 {
        let word = self.next();
        let sum: u32 = (0..4).map(|i| ((word >> (16 * i)) & 0xffff) as u32).sum();
        (sum as f32 / 65536.0 - 2.0) * 1.732_050_8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_reproducible_and_differ() {
        let draw = |seed, index| {
            let mut rng = Rng::stream(seed, index);
            [rng.next(), rng.next(), rng.next()]
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn draws_have_the_moments_that_they_promise() {
        let mut rng = Rng::stream(7, 0);
        let n = 20_000;
        let (mut mean, mut square, mut first) = (0.0, 0.0, 0);
        for _ in 0..n {
            let x = rng.normal();
            mean += x / n as f32;
            square += x * x / n as f32;
            first += usize::from(rng.weighted(&[3.0, 1.0]) == 0);
            assert!((4..=6).contains(&rng.int(4, 6)));
        }
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((square - 1.0).abs() < 0.05, "{square}");
        assert!((first as f32 / n as f32 - 0.75).abs() < 0.02, "{first}");
    }
}
