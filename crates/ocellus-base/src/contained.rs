//! Panics of libraries on hostile input, which end the input and nothing else.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work`; `None` when it panicked. Nothing that `work` could leave half-changed may be used afterwards.
///
/// A panic hook runs before a panic is caught: [`is_contained`] tells it that this one is part of the answer and not a mistake to be
/// reported.
pub fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    DEPTH.set(DEPTH.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    result.ok()
}

/// Whether this thread runs inside [`contained`].
pub fn is_contained() -> bool {
    DEPTH.get() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_none_and_known_to_the_hook() {
        assert!(!is_contained());
        assert_eq!(contained(|| contained(is_contained)), Some(Some(true)));
        assert_eq!(contained(|| panic!("expected in this test")), None::<()>);
        assert!(!is_contained());
    }
}
