//! Changing logits before a token is chosen: penalties, bias, grammars, guards.

use std::collections::{HashMap, HashSet};

/// Changes the logits of a sequence's next token. One processor serves one sequence.
///
/// The sequence tells it what happens: every token that was chosen, and when tokens are taken back. After `rewound(n)` it must
/// behave as if only the first `n` generated tokens had been there.
pub trait LogitsProcessor: Send {
    /// Changes `logits [vocab]` of the token behind `generated`.
    fn process(&mut self, generated: &[u32], logits: &mut [f32]);

    /// `token` was chosen.
    fn accepted(&mut self, _token: u32) {}

    /// Only the first tokens stay: `generated` is what is left.
    fn rewound(&mut self, _generated: &[u32]) {}
}

/// Divides positive and multiplies negative logits of tokens that were there before (Keskar et al. 2019).
pub struct RepetitionPenalty {
    penalty: f32,
    prompt: HashSet<u32>,
    generated: HashMap<u32, usize>,
}

impl RepetitionPenalty {
    /// `prompt` counts as seen.
    pub fn new(penalty: f32, prompt: &[u32]) -> Self {
        Self {
            penalty,
            prompt: prompt.iter().copied().collect(),
            generated: HashMap::new(),
        }
    }
}

impl LogitsProcessor for RepetitionPenalty {
    fn process(&mut self, _: &[u32], logits: &mut [f32]) {
        let fresh = self.generated.keys().filter(|id| !self.prompt.contains(id));
        for id in self.prompt.iter().chain(fresh) {
            if let Some(x) = logits.get_mut(*id as usize) {
                *x = match *x > 0.0 {
                    true => *x / self.penalty,
                    false => *x * self.penalty,
                };
            }
        }
    }

    fn accepted(&mut self, token: u32) {
        *self.generated.entry(token).or_default() += 1;
    }

    fn rewound(&mut self, generated: &[u32]) {
        self.generated.clear();
        generated.iter().for_each(|id| self.accepted(*id));
    }
}

/// Makes tokens impossible.
pub fn bar(logits: &mut [f32], ids: &[u32]) {
    for id in ids {
        if let Some(x) = logits.get_mut(*id as usize) {
            *x = f32::NEG_INFINITY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_penalty_moves_tokens_that_were_there() {
        let mut penalty = RepetitionPenalty::new(2.0, &[0]);
        let mut after = |generated: &[u32], logits: [f32; 3]| {
            let mut logits = logits;
            penalty.rewound(generated);
            penalty.process(generated, &mut logits);
            logits
        };
        assert_eq!(after(&[], [1.5, 1.0, -1.0]), [0.75, 1.0, -1.0]);
        assert_eq!(
            after(&[2, 2, 0], [1.5, 1.0, -1.0]),
            [0.75, 1.0, -2.0],
            "once, however often"
        );
        assert_eq!(
            after(&[1], [1.5, 1.0, -1.0]),
            [0.75, 0.5, -1.0],
            "2 was taken back"
        );
    }
}
