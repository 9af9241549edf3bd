//! Spreading work over one pool of threads that every kernel of the process shares.
//!
//! Between two products of a decoder lie microseconds, so workers spin, then park. A worker may join a job as long as there is work
//! left; the caller does not wait for a parked one. Jobs of several threads take turns, each with the whole pool. A thread that is to leave the
//! pool to others says so with [`alone`]; work that is started inside a job runs on the thread that started it.

mod places;
mod pool;

use std::cell::Cell;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pool::Pool;

/// What [`use_threads`] asked for; zero = as many as the machine lets this process use.
static WANTED: AtomicUsize = AtomicUsize::new(0);
/// What [`pin_threads`] asked for.
static PINNED: AtomicBool = AtomicBool::new(false);
static POOL: OnceLock<Pool> = OnceLock::new();

thread_local!(static LIMIT: Cell<Option<usize>> = const { Cell::new(None) });

/// Lets kernels use so many threads, the caller's among them. Without effect once something was computed.
pub fn use_threads(count: usize) {
    WANTED.store(count, Ordering::Relaxed);
}

/// Keeps every worker on a processor of its own, out of those that this process may use; threads that call kernels go where
/// they like. Only on Linux, only when there are no more threads than processors, and only where the system agrees.
/// Without effect once something was computed.
pub fn pin_threads(pinned: bool) {
    PINNED.store(pinned, Ordering::Relaxed);
}

/// Runs `work` with its kernels on this thread alone: for callers that spread work themselves.
pub fn alone<R>(work: impl FnOnce() -> R) -> R {
    limited(1, work)
}

/// Runs `work` as if the pool had so many threads.
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

/// A pointer that may cross threads. Its users write to places that no other task touches.
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

/// As [`for_each`], for tasks that read memory one behind another: every thread goes through neighbours, so that each has a stream
/// of its own, and those that are done first help at the end.
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

/// Calls `task` for every index below `count`: on this thread when it is alone or the work (in floating-point
/// operations, roughly) is small, else on the pool.
pub(crate) fn for_each(count: usize, work: usize, task: impl Fn(usize) + Sync + Send) {
    /// Below this a hand-over costs more than it gains.
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
