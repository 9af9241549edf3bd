//! Time, as an interface.
//!
//! Only the binary reads the operating system's clock. Everything below it is handed a [`Clock`], so that a
//! test can let an hour pass by writing one line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of monotonic time.
pub trait Clock: Send + Sync {
    /// Milliseconds since a fixed but unspecified moment; never smaller than an earlier answer.
    fn now_ms(&self) -> u64;

    /// The same in nanoseconds, as finely as the clock can tell; for measuring.
    fn now_ns(&self) -> u64 {
        self.now_ms().saturating_mul(1_000_000)
    }
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now_ms(&self) -> u64 {
        (**self).now_ms()
    }

    fn now_ns(&self) -> u64 {
        (**self).now_ns()
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now_ms(&self) -> u64 {
        (**self).now_ms()
    }

    fn now_ns(&self) -> u64 {
        (**self).now_ns()
    }
}

/// A clock that moves only when it is advanced: for tests and for replaying recorded runs.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `now_ms`.
    pub fn new(now_ms: u64) -> Self {
        Self(AtomicU64::new(now_ms))
    }

    /// Moves the clock forward; stops at `u64::MAX`.
    pub fn advance(&self, by_ms: u64) {
        // The closure always returns a value, so the update cannot fail.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| {
            Some(now.saturating_add(by_ms))
        });
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_when_told() {
        let clock = Arc::new(ManualClock::new(7));
        let shared: Arc<dyn Clock> = clock.clone();
        assert_eq!(shared.now_ms(), 7);
        assert_eq!(shared.now_ms(), 7);
        clock.advance(5);
        assert_eq!((shared.now_ms(), shared.now_ns()), (12, 12_000_000));
        clock.advance(u64::MAX);
        assert_eq!(shared.now_ms(), u64::MAX);
    }
}
