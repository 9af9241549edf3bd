//! Spreading work over the current rayon pool.

use std::ops::Range;

use rayon::prelude::*;

/// A pointer that may cross threads. Whoever uses it writes to places no other task touches.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(*mut T);

// SAFETY: only the address is shared; the tasks keep to disjoint places (stated at each use).
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn new(data: &mut [T]) -> Self {
        Self(data.as_mut_ptr())
    }

    /// The address; a method, so that closures capture the whole `Shared`.
    pub(crate) fn pointer(self) -> *mut T {
        self.0
    }

    /// The values `range` of the slice this was made from.
    ///
    /// # Safety
    /// `range` must lie inside that slice, the slice must still be alive, and no other task may hold any of it.
    #[expect(clippy::mut_from_ref, reason = "tasks hold disjoint ranges")]
    pub(crate) unsafe fn range(&self, range: Range<usize>) -> &mut [T] {
        // SAFETY: passed on to the caller.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(range.start), range.len()) }
    }
}

/// How many threads the caller may use.
pub(crate) fn threads() -> usize {
    if cfg!(miri) {
        1
    } else {
        rayon::current_num_threads()
    }
}

/// Calls `task` for every index below `count`: on this thread when it is alone or the work (in floating-point
/// operations, roughly) is small, else on the pool.
pub(crate) fn for_each(count: usize, work: usize, task: impl Fn(usize) + Sync + Send) {
    /// Below this a hand-over costs more than it gains.
    const SMALL: usize = 1 << 20;
    if count < 2 || work < SMALL || threads() < 2 {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().for_each(task);
    }
}
