//! From logits to a token: repetition penalty, temperature, top-k, min-p, top-p, and a seeded draw.
//!
//! The order is the common one of the field: penalty, then temperature, then the cuts from the widest to the finest.

use std::collections::HashSet;

use crate::{EngineError, Token};

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

/// The state of one sequence's sampling.
pub struct Sampler {
    options: Sampling,
    seen: HashSet<u32>,
    random: u64,
}

impl Sampler {
    /// `prompt` counts as seen for the repetition penalty.
    pub fn new(options: Sampling, prompt: &[u32]) -> Self {
        let seen = if options.repetition_penalty == 1.0 {
            HashSet::new()
        } else {
            prompt.iter().copied().collect()
        };
        Self {
            random: options.seed,
            options,
            seen,
        }
    }

    /// Chooses from the logits of the whole vocabulary.
    pub fn next(&mut self, logits: &[f32]) -> Token {
        let penalised;
        let scores = if self.options.repetition_penalty == 1.0 {
            logits
        } else {
            penalised = self.penalise(logits);
            &penalised
        };
        let id = if self.options.temperature == 0.0 {
            largest(scores)
        } else {
            self.draw(scores)
        };
        if self.options.repetition_penalty != 1.0 {
            self.seen.insert(id);
        }
        Token {
            id,
            log_probability: log_probability(logits, id),
        }
    }

    fn penalise(&self, logits: &[f32]) -> Vec<f32> {
        let mut out = logits.to_vec();
        for &id in &self.seen {
            if let Some(x) = out.get_mut(id as usize) {
                *x = if *x > 0.0 {
                    *x / self.options.repetition_penalty
                } else {
                    *x * self.options.repetition_penalty
                };
            }
        }
        out
    }

    fn draw(&mut self, scores: &[f32]) -> u32 {
        let Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            ..
        } = self.options;
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
        let (mut cumulated, mut count) = (0.0, 0);
        while count < kept.len() && (count == 0 || cumulated < top_p * total) {
            cumulated += kept[count].1;
            count += 1;
        }
        kept.truncate(count);
        let mut left = self.uniform() * cumulated;
        for (id, weight) in &kept {
            left -= weight;
            if left < 0.0 {
                return *id;
            }
        }
        kept.last().map_or(0, |k| k.0)
    }

    /// splitmix64, in [0, 1).
    fn uniform(&mut self) -> f32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
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

fn log_probability(logits: &[f32], id: u32) -> f32 {
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
        let mut sampler = Sampler::new(options, &[]);
        let mut ids: Vec<u32> = (0..2000).map(|_| sampler.next(logits).id).collect();
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
        let mut sampler = Sampler::new(sampling(|_| ()), &[]);
        let ones = (0..20_000).filter(|_| sampler.next(&logits).id == 1).count() as f32 / 20_000.0;
        assert!((ones - 0.3).abs() < 0.02, "{ones}");
    }

    #[test]
    fn penalty_moves_seen_tokens() {
        let options = Sampling {
            repetition_penalty: 2.0,
            ..Sampling::default()
        };
        let mut sampler = Sampler::new(options, &[0]);
        assert_eq!(sampler.next(&[1.5, 1.0, -1.0]).id, 1, "1.5 / 2 < 1");
        assert_eq!(sampler.next(&[1.5, 1.0, 0.8]).id, 2, "both were seen");
    }

    #[test]
    fn same_seed_same_draws() {
        let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32).collect();
        let draw = || {
            let mut s = Sampler::new(sampling(|s| s.top_p = 0.9), &[]);
            (0..100).map(|_| s.next(&logits).id).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
    }

    #[test]
    fn log_probability_is_normalised() {
        let t = Sampler::new(Sampling::default(), &[]).next(&[2.0, 2.0]);
        assert!((t.log_probability - 0.5f32.ln()).abs() < 1e-6);
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
