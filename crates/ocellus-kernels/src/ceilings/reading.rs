//! Reading memory as fast as all threads of the pool can.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::memory::{Memory, prefetch};
use crate::parallel;

/// A word as it lies in memory.
type Word = [u8; 8];

/// Words that are summed at a time from one stream: eight cache lines.
const STRETCH: usize = 64;

/// How a thread walks through its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Number of positions in the part that are read in turn.
    pub streams: usize,
    /// Prefetch distance in words; 0 = no software prefetch.
    pub ahead: usize,
}

impl Pattern {
    const fn new(streams: usize, ahead: usize) -> Self {
        Self { streams, ahead }
    }

    /// Access patterns, one of which is the fastest on most processors.
    pub const USUAL: [Self; 5] = [
        Self::new(1, 0),
        Self::new(1, 512),
        Self::new(4, 0),
        Self::new(4, 256),
        Self::new(8, 128),
    ];
}

/// Memory to be read, in large pages where the system has them, as packed weights are.
pub struct Block(Memory);

impl Block {
    /// A block of `bytes` bytes, all written once: pages that were never written have no memory behind them.
    pub fn new(bytes: usize) -> Self {
        let mut memory = Memory::zeroed(bytes);
        memory.as_mut_slice().fill(1);
        Self(memory)
    }

    pub fn bytes(&self) -> usize {
        self.0.as_ref().len()
    }

    /// Reads all of it once, parts of it on all threads, and returns the sum of its whole words.
    ///
    /// The sum is there so that no compiler leaves the reading out.
    pub fn read(&self, pattern: Pattern) -> u64 {
        read(self.0.as_ref().as_chunks().0, pattern)
    }
}

fn read(data: &[Word], pattern: Pattern) -> u64 {
    let parts = parallel::threads();
    let length = data.len().div_ceil(parts).max(1);
    let sum = AtomicU64::new(0);
    // As work it counts as more than any arithmetic, so that it is spread whatever its size.
    parallel::for_each(parts, usize::MAX, |part| {
        let start = (part * length).min(data.len());
        let end = (start + length).min(data.len());
        sum.fetch_add(walk(&data[start..end], pattern), Ordering::Relaxed);
    });
    sum.into_inner()
}

/// Sums a part, a stretch of each stream in turn.
fn walk(part: &[Word], pattern: Pattern) -> u64 {
    let streams = pattern.streams.max(1);
    let each = part.len() / streams / STRETCH * STRETCH;
    let mut sums = [0u64; 16];
    for at in (0..each).step_by(STRETCH) {
        for stream in 0..streams {
            let from = stream * each + at;
            if pattern.ahead > 0 {
                for line in (0..STRETCH).step_by(8) {
                    prefetch(part.as_ptr().wrapping_add(from + pattern.ahead + line));
                }
            }
            for words in part[from..from + STRETCH].chunks_exact(16) {
                let pairs = sums.iter_mut().zip(words);
                pairs.for_each(|(sum, word)| *sum = sum.wrapping_add(u64::from_ne_bytes(*word)));
            }
        }
    }
    let rest = part[each * streams..]
        .iter()
        .map(|word| u64::from_ne_bytes(*word));
    sums.into_iter().chain(rest).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_once_whatever_the_pattern() {
        for length in [0, 1, 63, 64, 65, 1000, 4096, 5003, 10_007] {
            let values = (0..length).map(|i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let expected = values.clone().fold(0, u64::wrapping_add);
            let data: Vec<Word> = values.map(u64::to_ne_bytes).collect();
            for pattern in Pattern::USUAL {
                assert_eq!(read(&data, pattern), expected, "{length} {pattern:?}");
                assert_eq!(walk(&data, pattern), expected, "{length} {pattern:?}");
            }
        }
    }

    #[test]
    fn a_block_holds_what_was_asked_for() {
        let block = Block::new(8 * 1000 + 3);
        assert_eq!(block.bytes(), 8003);
        assert_eq!(
            block.read(Pattern::USUAL[3]),
            0x0101_0101_0101_0101u64.wrapping_mul(1000)
        );
    }
}
