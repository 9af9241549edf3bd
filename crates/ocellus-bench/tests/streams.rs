//! Requests at once, with the model inside the program and a clock that ticks whenever somebody looks.

use std::sync::atomic::{AtomicU64, Ordering};

use ocellus_base::Clock;
use ocellus_bench::{Work, measure, streams};
use ocellus_hub::Checkpoint;
use ocellus_media::test_card;
use ocellus_session::{OpenOptions, PixelBounds, Session};

/// A millisecond passes from look to look.
#[derive(Default)]
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now_ms(&self) -> u64 {
        self.now_ns() / 1_000_000
    }

    fn now_ns(&self) -> u64 {
        self.0.fetch_add(1_000_000, Ordering::Relaxed)
    }
}

const WORK: Work = Work {
    prompt_tokens: 12,
    tokens: 5,
    runs: 1,
};

#[test]
fn every_step_counts_a_token_of_each_request() {
    let session = Session::open(&Checkpoint::built_in(), &OpenOptions::default()).unwrap();
    let picture = test_card(140, 56, 0);
    let (clock, mut told) = (Ticking::default(), Vec::new());
    let counts = [1, 2, 4];
    let found = streams(
        &session,
        &picture,
        PixelBounds::default(),
        (&WORK, &counts),
        &clock,
        |row| told.push(*row),
    );
    let found = found.unwrap();
    assert_eq!(found, told);
    for (row, count) in found.iter().zip(counts) {
        // The clock is looked at once a step.
        assert_eq!((row.streams, row.decode_tok_s), (count, 1000.0 * count as f64));
        assert_eq!(row.each_tok_s(), 1000.0);
    }
    let one = measure(&session, &picture, PixelBounds::default(), &WORK, &clock, |_| {});
    assert_eq!(one.unwrap().first_tokens.len(), 5);
}
