//! The pool of worker threads.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use super::places;

/// Number of checks for a job before a worker parks: some hundred microseconds.
const SPINS: usize = 20_000;

thread_local!(static WORKING: Cell<bool> = const { Cell::new(false) });

/// Worker threads, in addition to the calling thread.
pub(super) struct Pool {
    shared: Arc<Shared>,
    workers: usize,
    /// Locked while a job runs: jobs take turns.
    user: Mutex<()>,
}

type Task<'a> = dyn Fn(usize) + Sync + 'a;

/// The current job, and what idle workers wait on.
/// `state` holds the job's number in its upper half, the flag [`CLOSED`], and the number of workers that joined. A worker may
/// access the job only between joining while it is open and incrementing `done`. The owner removes the job only after closing it
/// and seeing that `done` equals the number that joined.
struct Shared {
    state: AtomicU64,
    done: AtomicU64,
    /// The next index to take, and the end of the indices.
    next: AtomicUsize,
    count: AtomicUsize,
    /// The task's address: the data pointer and vtable of a `&Task`.
    task: Mutex<Option<Address>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    parked: AtomicUsize,
    ended: AtomicBool,
    parking: Mutex<()>,
    wake: Condvar,
}

const CLOSED: u64 = 1 << 31;
const JOB: u64 = 1 << 32;

#[derive(Clone, Copy)]
struct Address(*const Task<'static>);

// SAFETY: the task is `Sync`, and is only called while its owner waits (see `Shared`).
unsafe impl Send for Address {}

impl Pool {
    /// Starts `workers` workers; worker `i` is pinned to `places[i]`, if there is one.
    pub fn new(workers: usize, places: &[usize]) -> Self {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(CLOSED),
            done: AtomicU64::new(0),
            next: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            task: Mutex::new(None),
            panic: Mutex::new(None),
            parked: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            parking: Mutex::new(()),
            wake: Condvar::new(),
        });
        let mut started = 0;
        for worker in 0..workers {
            let (own, place) = (shared.clone(), places.get(worker).copied());
            let thread = std::thread::Builder::new().name("kernels".into());
            // If the system refuses to start more threads, the pool works with those it has.
            let life = move || {
                // If pinning is refused, the worker runs on any processor.
                let _ = place.is_some_and(places::keep_to);
                own.work();
            };
            started += usize::from(thread.spawn(life).is_ok());
        }
        Self {
            shared,
            workers: started,
            user: Mutex::new(()),
        }
    }

    /// Number of threads that can work at once, the caller included.
    pub fn threads(&self) -> usize {
        self.workers + 1
    }

    /// Calls `task` for every index below `count`, and returns when all calls have returned. A panic of a task is propagated.
    /// Calls from several threads take turns; a call from inside a task runs on the calling thread.
    pub fn run(&self, count: usize, task: &Task) {
        if self.workers == 0 || WORKING.get() {
            return (0..count).for_each(task);
        }
        let owner = lock(&self.user);
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes; the address is taken down before this call returns.
        let address = Address(unsafe { std::mem::transmute::<*const Task, *const Task<'static>>(task) });
        *lock(&shared.task) = Some(address);
        shared.next.store(0, Ordering::Relaxed);
        shared.count.store(count, Ordering::Relaxed);
        shared.done.store(0, Ordering::Relaxed);
        let number = (shared.state.load(Ordering::Relaxed) / JOB).wrapping_add(1);
        shared.state.store(number.wrapping_mul(JOB), Ordering::SeqCst);
        if shared.parked.load(Ordering::SeqCst) > 0 {
            // While this lock is held, no worker is between checking the state and waiting.
            drop(lock(&shared.parking));
            shared.wake.notify_all();
        }
        WORKING.set(true);
        let own = catch_unwind(AssertUnwindSafe(|| shared.take(task)));
        WORKING.set(false);
        if own.is_err() {
            // No further task is started.
            shared.next.store(count, Ordering::Relaxed);
        }
        let came = shared.state.fetch_or(CLOSED, Ordering::AcqRel) % CLOSED;
        let mut spins = 0;
        while shared.done.load(Ordering::Acquire) < came {
            spins += 1;
            if spins % 4096 == 0 {
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
        *lock(&shared.task) = None;
        let theirs = lock(&shared.panic).take();
        drop(owner);
        if let Some(panic) = own.err().or(theirs) {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        drop(lock(&self.shared.parking));
        self.shared.wake.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Shared {
    /// Runs tasks until no index is left.
    fn take(&self, task: &Task) {
        let count = self.count.load(Ordering::Relaxed);
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            task(index);
        }
    }

    /// The main loop of a worker.
    fn work(&self) {
        WORKING.set(true);
        let mut seen = 0;
        while !self.ended.load(Ordering::Relaxed) {
            if self.awaited(seen) {
                seen = self.state.load(Ordering::Acquire) / JOB;
                self.join(seen);
            } else {
                let parking = lock(&self.parking);
                self.parked.fetch_add(1, Ordering::SeqCst);
                let news =
                    self.state.load(Ordering::SeqCst) / JOB != seen || self.ended.load(Ordering::SeqCst);
                if !news {
                    drop(self.wake.wait(parking));
                }
                self.parked.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    /// Spins until a job with another number than `seen` appears; returns whether one did.
    fn awaited(&self, seen: u64) -> bool {
        for _ in 0..SPINS {
            if self.state.load(Ordering::Relaxed) / JOB != seen {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// Works on job `number`, unless it is closed.
    fn join(&self, number: u64) {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state / JOB != number || state & CLOSED != 0 {
                return;
            }
            match self
                .state
                .compare_exchange_weak(state, state + 1, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        let address = *lock(&self.task);
        if let Some(Address(task)) = address {
            // SAFETY: this worker joined while the job was open, so the owner waits until it is counted in `done`.
            let task = unsafe { &*task };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take(task))) {
                *lock(&self.panic) = Some(panic);
                let count = self.count.load(Ordering::Relaxed);
                self.next.store(count, Ordering::Relaxed);
            }
        }
        self.done.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_once_however_many_workers() {
        for workers in [0, 1, 3] {
            let pool = Pool::new(workers, &[]);
            for count in [0, 1, 2, 7, 1000] {
                for _ in 0..50 {
                    let seen: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                    pool.run(count, &|i| {
                        seen[i].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(
                        seen.iter().all(|n| n.load(Ordering::Relaxed) == 1),
                        "{workers} {count}"
                    );
                }
            }
        }
    }

    #[test]
    fn work_inside_work_and_from_many_threads() {
        let pool = Pool::new(2, &[]);
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        pool.run(5, &|_| {
                            pool.run(3, &|_| {
                                total.fetch_add(1, Ordering::Relaxed);
                            })
                        });
                    }
                });
            }
        });
        assert_eq!(total.into_inner(), 4 * 100 * 15);
    }

    /// Jobs of a second thread use the workers too, in turn, instead of silently running serially.
    #[test]
    fn every_thread_gets_the_workers() {
        let pool = Pool::new(1, &[]);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let met = AtomicUsize::new(0);
                        // The two tasks wait for each other, so two threads must take part.
                        pool.run(2, &|_| {
                            met.fetch_add(1, Ordering::SeqCst);
                            while met.load(Ordering::SeqCst) < 2 {
                                std::thread::yield_now();
                            }
                        });
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_is_passed_on_and_the_pool_lives() {
        let pool = Pool::new(2, &[]);
        for round in 0..20 {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(64, &|i| assert!(i != 40 + round % 3, "task {i}"))
            }));
            assert!(result.is_err());
            let done = AtomicUsize::new(0);
            pool.run(64, &|_| {
                done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(done.into_inner(), 64);
        }
    }

    #[test]
    fn sleepers_wake() {
        let pool = Pool::new(1, &[]);
        for _ in 0..5 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            let met = AtomicUsize::new(0);
            // The two tasks wait for each other, so two threads must take part.
            pool.run(2, &|_| {
                met.fetch_add(1, Ordering::SeqCst);
                while met.load(Ordering::SeqCst) < 2 {
                    std::thread::yield_now();
                }
            });
        }
    }

    /// Workers stay on their processors, the caller is not pinned, and results are the same.
    #[cfg(all(target_os = "linux", not(miri)))]
    #[test]
    fn workers_keep_to_their_places() {
        let allowed = places::allowed();
        let threads = allowed.len().min(4);
        let given = places::of_workers(threads, &allowed);
        let agreed = std::thread::spawn({
            let first = allowed[0];
            move || places::keep_to(first)
        });
        if !agreed.join().unwrap() {
            // A sandbox does not permit pinning.
            return;
        }
        let pool = Pool::new(threads - 1, given);
        let (met, seen) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let caller = std::thread::current().id();
        // All tasks wait for one another, so each thread takes one.
        pool.run(threads, &|_| {
            met.fetch_add(1, Ordering::SeqCst);
            while met.load(Ordering::SeqCst) < threads {
                std::thread::yield_now();
            }
            lock(&seen).push((std::thread::current().id() != caller, places::allowed()));
        });
        let mut seen = seen.into_inner().unwrap();
        seen.sort();
        let workers = given[..threads - 1].iter().map(|cpu| (true, vec![*cpu]));
        let expected: Vec<_> = std::iter::once((false, allowed.clone())).chain(workers).collect();
        assert_eq!(seen, expected);
    }
}
