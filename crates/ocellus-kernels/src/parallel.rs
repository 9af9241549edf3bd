//! Spreading work over one pool of threads that every kernel of the process shares.
//!
//! Two matrix products of a decoder are only microseconds apart, so workers spin before they park. A worker may join a job as
//! long as it has tasks left; the caller does not wait for parked workers. Jobs of several threads take turns, each with the
//! whole pool. With [`alone`] a thread runs its kernels without the pool; kernels that are called inside a job run on the calling
//! thread.

mod places;
mod pool;

use std::cell::Cell;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pool::Pool;

/// The number of threads that [`use_threads`] set; 0 = as many as the process may use.
static WANTED: AtomicUsize = AtomicUsize::new(0);
/// What [`pin_threads`] asked for.
static PINNED: AtomicBool = AtomicBool::new(false);
static POOL: OnceLock<Pool> = OnceLock::new();

thread_local!(static LIMIT: Cell<Option<usize>> = const { Cell::new(None) });

/// Sets the number of threads of kernels, the calling thread included. No effect after the first computation.
pub fn use_threads(count: usize) {
    WANTED.store(count, Ordering::Relaxed);
}

/// Pins every worker to a processor of its own, among those that this process may use; threads that call kernels are not pinned.
/// Only on Linux, only when there are no more threads than processors, and only where the system permits it. No effect after the
/// first computation.
pub fn pin_threads(pinned: bool) {
    PINNED.store(pinned, Ordering::Relaxed);
}

/// Runs the kernels in `work` on this thread alone: for callers that distribute work themselves.
pub fn alone<R>(work: impl FnOnce() -> R) -> R {
    limited(1, work)
}

/// Runs `work` as if the pool had `threads` threads.
pub(crate) fn limited<R>(threads: usize, work: impl FnOnce() -> R) -> R {
    struct Reset(Option<usize>);
    impl Drop for Reset {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _reset = Reset(LIMIT.replace(Some(threads)));
    work()
}

fn pool() -> &'static Pool {
    POOL.get_or_init(|| {
        let machine = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = match WANTED.load(Ordering::Relaxed) {
            0 => machine(),
            count => count,
        };
        let allowed = match PINNED.load(Ordering::Relaxed) {
            true => places::allowed(),
            false => Vec::new(),
        };
        Pool::new(threads.saturating_sub(1), places::of_workers(threads, &allowed))
    })
}

/// A pointer that may cross threads. Tasks write to disjoint elements only.
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
        return 1;
    }
    LIMIT.get().unwrap_or_else(|| pool().threads())
}

/// As [`for_each`], for tasks that read consecutive memory: every thread takes a contiguous range of tasks, so that each reads
/// one stream, and threads that finish early take tasks of others.
pub(crate) fn in_streams(count: usize, work: usize, task: impl Fn(usize) + Sync + Send) {
    let streams = threads();
    let each = count.div_ceil(streams);
    for_each(each * streams, work, |place| {
        let index = place % streams * each + place / streams;
        if index < count {
            task(index);
        }
    });
}

/// Calls `task` for every index below `count`: on this thread if it runs alone or if `work` (an estimate in floating-point
/// operations) is small, otherwise on the pool.
pub(crate) fn for_each(count: usize, work: usize, task: impl Fn(usize) + Sync + Send) {
    /// Below this, waking workers costs more than it saves.
    const SMALL: usize = 1 << 18;
    if count < 2 || work < SMALL || threads() < 2 {
        (0..count).for_each(task);
    } else {
        pool().run(count, &task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_take_every_index_once() {
        for count in [0, 1, 2, 3, 7, 1000] {
            for threads in [1, 2, 3] {
                limited(threads, || {
                    let seen: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                    in_streams(count, usize::MAX, |index| {
                        seen[index].fetch_add(1, Ordering::Relaxed);
                    });
                    let once = seen.iter().all(|n| n.load(Ordering::Relaxed) == 1);
                    assert!(once, "{count} on {threads}");
                });
            }
        }
    }
}
