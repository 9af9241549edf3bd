//! Memory of all pictures that are being decoded at a time.
//!
//! A decoder takes several times as much as the picture that comes out, so that a few large pictures side by side would take more than
//! any of them. They take turns: as many as fit into the budget, and one that is larger by itself.

use std::sync::{Condvar, Mutex, PoisonError};

use ocellus_base::limits::DECODING_BYTES;

static TAKEN: Mutex<u64> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

/// A share of the budget, given back when it is dropped.
pub(crate) struct Share(u64);

impl Share {
    /// Waits until `bytes` fit beside the others.
    pub(crate) fn take(bytes: u64) -> Self {
        let bytes = bytes.min(DECODING_BYTES);
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |taken: &mut u64| *taken + bytes > DECODING_BYTES;
        let mut taken = GIVEN_BACK
            .wait_while(taken, full)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += bytes;
        Self(bytes)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        GIVEN_BACK.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn all_together_stay_within_the_budget_and_all_get_their_turn() {
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (now, most) = (&now, &most);
                scope.spawn(move || {
                    for turn in 0..50u64 {
                        // From nothing to far beyond the budget.
                        let bytes = DECODING_BYTES / 7 * ((thread * 31 + turn) % 12);
                        let share = Share::take(bytes);
                        let sum = now.fetch_add(share.0, Ordering::SeqCst) + share.0;
                        most.fetch_max(sum, Ordering::SeqCst);
                        now.fetch_sub(share.0, Ordering::SeqCst);
                        drop(share);
                    }
                });
            }
        });
        assert!(most.into_inner() <= DECODING_BYTES);
        assert_eq!(now.into_inner(), 0);
    }
}
