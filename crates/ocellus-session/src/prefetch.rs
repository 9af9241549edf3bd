//! Preparing the next input while this one is worked on.
//!
//! Reading a file, decoding it and cutting it up keep one processor busy and a model waiting. So the input behind the one
//! in work is prepared on a thread of its own: one input ahead and never more, because a picture in memory is large.

use std::iter::Fuse;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};

/// Hands to `work` what `prepare` makes of every item, in their order.
///
/// An item for which `may_wait` holds is not prefetched: standard input may never end, and a thread
/// that reads it would keep the program from ending. Without a second item no thread is started. A panic of `prepare`
/// comes up where its item would have. When `work` is done with fewer items than there are, at most the preparation that
/// has begun is waited for.
pub fn prefetched<I: Send, T: Send, R>(
    items: impl IntoIterator<Item = I>,
    may_wait: impl Fn(&I) -> bool,
    prepare: impl Fn(I) -> T + Sync,
    work: impl FnOnce(&mut dyn Iterator<Item = T>) -> R,
) -> R {
    thread::scope(|scope| {
        work(&mut Prefetched {
            items: items.into_iter().fuse(),
            next: None,
            begun: false,
            may_wait,
            prepare: &prepare,
            scope,
            thread: None,
        })
    })
}

/// The item behind the one in work.
enum Next<I> {
    Waits(I),
    /// The thread is preparing it.
    Away,
}

struct Prefetched<'s, 'e, I, T, It: Iterator<Item = I>, W, P> {
    items: Fuse<It>,
    next: Option<Next<I>>,
    begun: bool,
    may_wait: W,
    prepare: &'e P,
    scope: &'s Scope<'s, 'e>,
    thread: Option<Preparer<I, T>>,
}

impl<'s, 'e, I, T, It, W, P> Iterator for Prefetched<'s, 'e, I, T, It, W, P>
where
    I: Send + 's,
    T: Send + 's,
    It: Iterator<Item = I>,
    W: Fn(&I) -> bool,
    P: Fn(I) -> T + Sync,
{
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if !self.begun {
            self.begun = true;
            self.next = self.items.next().map(Next::Waits);
        }
        match self.next.take()? {
            // Both are prepared at once: this item here, the next one on the thread.
            Next::Waits(item) => {
                self.fetch_next();
                Some((self.prepare)(item))
            }
            // The next item starts only when this one is done: at most one is prefetched.
            Next::Away => {
                let this = self.thread.as_ref().and_then(Preparer::take);
                self.fetch_next();
                this
            }
        }
    }
}

impl<'s, 'e, I, T, It, W, P> Prefetched<'s, 'e, I, T, It, W, P>
where
    I: Send + 's,
    T: Send + 's,
    It: Iterator<Item = I>,
    W: Fn(&I) -> bool,
    P: Fn(I) -> T + Sync,
{
    fn fetch_next(&mut self) {
        let Some(item) = self.items.next() else {
            return;
        };
        if (self.may_wait)(&item) {
            self.next = Some(Next::Waits(item));
            return;
        }
        if self.thread.is_none() {
            self.thread = Preparer::start(self.scope, self.prepare);
        }
        self.next = Some(match &self.thread {
            Some(thread) => thread.give(item).map_or_else(Next::Waits, |()| Next::Away),
            // Without another thread, items are prepared one after another.
            None => Next::Waits(item),
        });
    }
}

/// The thread, which has at most one item and ends when this is dropped.
struct Preparer<I, T> {
    items: SyncSender<I>,
    results: Receiver<thread::Result<T>>,
}

impl<I: Send, T: Send> Preparer<I, T> {
    fn start<'s, 'e>(scope: &'s Scope<'s, 'e>, prepare: &'e (impl Fn(I) -> T + Sync)) -> Option<Self>
    where
        I: 's,
        T: 's,
    {
        let (items, orders) = sync_channel::<I>(1);
        let (sender, results) = sync_channel(1);
        let life = move || {
            for item in orders {
                let result = catch_unwind(AssertUnwindSafe(|| prepare(item)));
                if sender.send(result).is_err() {
                    return;
                }
            }
        };
        let started = thread::Builder::new()
            .name("preparing".into())
            .spawn_scoped(scope, || by_itself(life));
        started.ok().map(|_| Self { items, results })
    }

    /// Gives the item back when the thread is gone.
    fn give(&self, item: I) -> Result<(), I> {
        self.items.send(item).map_err(|refused| refused.0)
    }

    fn take(&self) -> Option<T> {
        let result = self.results.recv().ok()?;
        Some(result.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

/// Runs `life` so that all its work stays on this thread, for good: all others are busy with other inputs.
pub fn by_itself(life: impl FnOnce()) {
    // Fails only where this thread belongs to a pool already, which it does not.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread()
        .build();
    ocellus_kernels::alone(life);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    /// Every way in which five items wait for their turn or do not: order and values are the same.
    #[test]
    fn order_is_kept_whoever_waits() {
        for count in 0..6 {
            for waiting in 0..1_u32 << count {
                let waits = |item: &u32| waiting >> item & 1 == 1;
                let made: Vec<_> = prefetched(0..count, waits, |item| item * 10, |made| made.collect());
                let expected: Vec<_> = (0..count).map(|item| item * 10).collect();
                assert_eq!(made, expected, "{count} items, {waiting:b} wait");
            }
        }
    }

    #[test]
    fn who_prepares() {
        let here = thread::current().id();
        // Items that wait, as bits, and those that another thread should prepare.
        for (count, waiting, away) in [
            (1, 0b0, &[][..]),
            (1, 0b1, &[]),
            (2, 0b10, &[]),
            (3, 0b000, &[1, 2]),
            (4, 0b0010, &[2, 3]),
            (4, 0b1111, &[]),
        ] {
            let waits = |item: &usize| waiting >> item & 1 == 1;
            let prepare = |item| (item, thread::current().id(), rayon::current_num_threads());
            let made: Vec<_> = prefetched(0..count, waits, prepare, |made| made.collect());
            let there: Vec<_> = made.iter().filter(|(_, thread, _)| *thread != here).collect();
            let items: Vec<usize> = there.iter().map(|(item, ..)| *item).collect();
            assert_eq!(items, away, "{count} items, {waiting:b} wait");
            let threads: HashSet<_> = there.iter().map(|(_, thread, _)| thread).collect();
            assert_eq!(threads.len(), away.len().min(1), "one thread for all");
            assert!(there.iter().all(|(.., pool)| *pool == 1), "which computes alone");
        }
    }

    #[test]
    fn the_next_item_is_prepared_while_this_one_is_worked_on_and_no_other() {
        let (begin, begun) = channel();
        let (alive, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let prepare = |item: usize| {
            most.fetch_max(alive.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            begin.send(item).expect("the test listens");
            item
        };
        prefetched(
            0..20,
            |_| false,
            prepare,
            |made| {
                let mut seen = HashSet::new();
                for item in made {
                    // Hangs unless another thread prepares meanwhile.
                    while item < 19 && !seen.contains(&(item + 1)) {
                        seen.insert(begun.recv().expect("the thread lives"));
                    }
                    alive.fetch_sub(1, Ordering::SeqCst);
                }
            },
        );
        assert_eq!(most.into_inner(), 2, "one in work, one ahead");
    }

    #[test]
    fn errors_come_in_their_place() {
        let prepare = |item: usize| {
            if item % 3 == 1 {
                Err(format!("bad {item}"))
            } else {
                Ok(item)
            }
        };
        let made: Vec<_> = prefetched(0..6, |_| false, prepare, |made| made.collect());
        assert_eq!(made, (0..6).map(prepare).collect::<Vec<_>>());
    }

    #[test]
    fn who_stops_early_waits_for_one_item_at_most() {
        for taken in 0..4 {
            let begun = Mutex::new(Vec::new());
            let prepare = |item: usize| {
                begun.lock().unwrap().push(item);
                item
            };
            let made: Vec<_> = prefetched(0.., |_| false, prepare, |made| made.take(taken).collect());
            assert_eq!(made, (0..taken).collect::<Vec<_>>());
            let most = if taken == 0 { 0 } else { taken + 1 };
            assert!(begun.into_inner().unwrap().len() <= most, "{taken} taken");
        }
    }

    #[test]
    fn a_panic_comes_up_where_its_item_would_have() {
        for (bad, waits) in [(0, false), (2, false), (2, true), (3, false)] {
            let mut before = Vec::new();
            let prepare = |item| {
                assert_ne!(item, bad, "as planned");
                item
            };
            let result = catch_unwind(AssertUnwindSafe(|| {
                prefetched(
                    0..4,
                    |_| waits,
                    prepare,
                    |made| made.for_each(|item| before.push(item)),
                )
            }));
            let panic = result.expect_err("it is passed on");
            let text = panic.downcast_ref::<String>().map(String::as_str);
            assert!(text.is_some_and(|t| t.contains("as planned")), "{text:?}");
            assert_eq!(before, (0..bad).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_of_the_worker_ends_the_thread() {
        let result = catch_unwind(AssertUnwindSafe(|| {
            prefetched(
                0..,
                |_| false,
                |item: u32| item,
                |made| {
                    made.next();
                    panic!("at work");
                },
            )
        }));
        let _: Box<dyn std::any::Any + Send> = result.map(|(): ()| ()).expect_err("it is passed on");
    }
}
