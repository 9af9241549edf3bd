//! Words, digits and letters at random.

use crate::random::Rng;

use super::vocabulary;

pub(super) fn any(rng: &mut Rng, items: &[&'static str]) -> &'static str {
    items[rng.below(items.len())]
}

pub(super) fn word(rng: &mut Rng) -> &'static str {
    any(rng, vocabulary::WORDS)
}

pub(super) fn digits(rng: &mut Rng, low: usize, high: usize) -> String {
    (0..rng.int(low, high))
        .map(|_| char::from(b'0' + rng.below(10) as u8))
        .collect()
}

pub(super) fn letters(rng: &mut Rng, low: usize, high: usize) -> String {
    (0..rng.int(low, high))
        .map(|_| char::from(b'a' + rng.below(26) as u8))
        .collect()
}
