//! From logits to a token: temperature, top-k, min-p, top-p, and a seeded draw.
//!
//! The order is the common one of the field: penalties ([`crate::logits`]), then temperature, then the cuts from the widest to the
//! finest.

use crate::error::EngineError;

/// How a token is chosen. The default is greedy.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 = greedy.
    pub temperature: f32,
    /// 0 = all.
    pub top_k: usize,
    /// 1 = all.
    pub top_p: f32,
    /// Keeps tokens at least this share as likely as the likeliest; 0 = all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens that were there before; 1 = none (Keskar et al. 2019).
    pub repetition_penalty: f32,
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: 0,
        }
    }
}

impl Sampling {
    /// Fails when an option is outside its range.
    pub fn check(&self) -> Result<(), EngineError> {
        let wrong = |name, value: f32, range| {
            Err(EngineError::Sampling(format!(
                "{name} is {value}, expected {range}"
            )))
        };
        if !(0.0..=100.0).contains(&self.temperature) {
            return wrong("temperature", self.temperature, "0 to 100");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return wrong("top-p", self.top_p, "more than 0, at most 1");
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return wrong("min-p", self.min_p, "0 to 1");
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty <= 100.0) {
            return wrong(
                "repeat-penalty",
                self.repetition_penalty,
                "more than 0, at most 100",
            );
        }
        Ok(())
    }
}

impl Sampling {
    /// Chooses the token behind `count` others from its logits, as processors left them. What is drawn depends on the seed, the
    /// count and the logits alone, so that tokens can be taken back and drawn again.
    pub fn choose(&self, logits: &[f32], count: usize) -> u32 {
        match self.temperature == 0.0 {
            true => largest(logits),
            false => self.draw(logits, count),
        }
    }

    fn draw(&self, scores: &[f32], count: usize) -> u32 {
        let Self {
            temperature,
            top_k,
            top_p,
            min_p,
            ..
        } = *self;
        let peak = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // min-p is a bound on the score, so it prunes before the sort.
        let floor = if min_p > 0.0 {
            peak + min_p.ln() * temperature
        } else {
            f32::NEG_INFINITY
        };
        let mut kept: Vec<(u32, f32)> = (0u32..)
            .zip(scores)
            .filter(|(_, s)| **s >= floor)
            .map(|(i, s)| (i, ((s - peak) / temperature).exp()))
            .collect();
        // Ties are broken by the smaller id, so that a draw depends on nothing but the logits and the seed.
        kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if top_k > 0 {
            kept.truncate(top_k);
        }
        let total: f32 = kept.iter().map(|k| k.1).sum();
        let (mut cumulated, mut chosen) = (0.0, 0);
        while chosen < kept.len() && (chosen == 0 || cumulated < top_p * total) {
            cumulated += kept[chosen].1;
            chosen += 1;
        }
        kept.truncate(chosen);
        let mut left = uniform(self.seed, count) * cumulated;
        for (id, weight) in &kept {
            left -= weight;
            if left < 0.0 {
                return *id;
            }
        }
        kept.last().map_or(0, |k| k.0)
    }
}

/// Number `count` of the splitmix64 sequence of a seed, in [0, 1).
fn uniform(seed: u64, count: usize) -> f32 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = seed.wrapping_add(STEP.wrapping_mul(count as u64 + 1));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
}

/// The id of the largest score, the first of equals.
fn largest(scores: &[f32]) -> u32 {
    let mut best = 0;
    for (i, s) in scores.iter().enumerate() {
        if *s > scores[best] {
            best = i;
        }
    }
    best as u32
}

/// Natural logarithm of the probability of `id`.
pub(crate) fn log_probability(logits: &[f32], id: u32) -> f32 {
    let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|l| (l - peak).exp()).sum();
    logits[id as usize] - peak - sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling(change: impl FnOnce(&mut Sampling)) -> Sampling {
        let mut s = Sampling {
            temperature: 1.0,
            seed: 7,
            ..Sampling::default()
        };
        change(&mut s);
        s
    }

    /// The ids that 2,000 draws give.
    fn drawn(options: Sampling, logits: &[f32]) -> Vec<u32> {
        let mut ids: Vec<u32> = (0..2000).map(|i| options.choose(logits, i)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    #[test]
    fn cuts_keep_what_they_say() {
        // Probabilities 0.5, 0.25, 0.125, 0.125.
        let logits = [0.5f32.ln(), 0.25f32.ln(), 0.125f32.ln(), 0.125f32.ln()];
        let cases: [(&str, Sampling, &[u32]); 7] = [
            ("all", sampling(|_| ()), &[0, 1, 2, 3]),
            ("greedy", sampling(|s| s.temperature = 0.0), &[0]),
            ("top-k 2", sampling(|s| s.top_k = 2), &[0, 1]),
            ("top-p 0.5", sampling(|s| s.top_p = 0.5), &[0]),
            ("top-p 0.6", sampling(|s| s.top_p = 0.6), &[0, 1]),
            ("min-p 0.4", sampling(|s| s.min_p = 0.4), &[0, 1]),
            ("cold", sampling(|s| s.temperature = 0.01), &[0]),
        ];
        for (name, options, expected) in cases {
            assert_eq!(drawn(options, &logits), expected, "{name}");
        }
    }

    #[test]
    fn frequencies_follow_probabilities() {
        let logits = [0.7f32.ln(), 0.3f32.ln()];
        let sampling = sampling(|_| ());
        let ones = (0..20_000).filter(|i| sampling.choose(&logits, *i) == 1).count() as f32 / 20_000.0;
        assert!((ones - 0.3).abs() < 0.02, "{ones}");
    }

    #[test]
    fn the_place_of_a_token_decides_its_draw() {
        let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32).collect();
        let sampling = sampling(|s| s.top_p = 0.9);
        let draws: Vec<u32> = (0..100).map(|i| sampling.choose(&logits, i)).collect();
        let again: Vec<u32> = (0..100).rev().map(|i| sampling.choose(&logits, i)).collect();
        assert!(draws.iter().eq(again.iter().rev()));
        assert!(draws.iter().any(|id| *id != draws[0]));
    }

    #[test]
    fn log_probability_is_normalised() {
        assert!((log_probability(&[2.0, 2.0], 0) - 0.5f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn nonsense_is_refused() {
        for (name, s) in [
            ("temperature", sampling(|s| s.temperature = -1.0)),
            ("nan", sampling(|s| s.temperature = f32::NAN)),
            ("top-p", sampling(|s| s.top_p = 0.0)),
            ("min-p", sampling(|s| s.min_p = 1.5)),
            ("penalty", sampling(|s| s.repetition_penalty = 0.0)),
        ] {
            assert!(s.check().is_err(), "{name}");
        }
    }
}
