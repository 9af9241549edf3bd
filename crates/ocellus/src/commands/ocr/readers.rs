//! Threads that read pages side by side. Each page of a line reader is read by one thread alone: several pages at once make better
//! use of processors than several threads in one page. A model that reads whole pages takes one page at a time with all threads,
//! while the next page is prepared.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ocellus_media::Rgb;
use ocellus_session::{PageOptions, Session, prefetch};
use ocellus_tasks::ocr::{OcrPage, Warning, WarningKind};

use super::pages::{Job, Next, Pages};
use crate::error::Failure;
use crate::inputs;
use crate::interrupt::Listener;

/// How often Ctrl-C is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// A page that was read, or why not.
pub struct Done {
    /// Its input's place among the inputs.
    pub input: usize,
    /// Whether another page of the same input follows.
    pub more: bool,
    /// Pages of the input.
    pub pages: u32,
    pub page: Result<ReadPage, Failure>,
}

/// A page and its picture.
pub struct ReadPage {
    pub page: OcrPage,
    pub image: Rgb,
}

/// Reads pages on threads of its own.
pub struct Readers {
    pub session: Session,
    pub options: PageOptions,
    /// Threads, each with a page.
    pub count: usize,
    /// Whether a thread computes by itself.
    pub alone: bool,
}

/// What the threads share.
struct Shared {
    readers: Readers,
    pages: Mutex<Pages>,
    /// Pages whose results were taken, in their order.
    taken: Mutex<usize>,
    was_taken: Condvar,
    /// Held by who reads, where threads do not compute by themselves.
    reading: Mutex<()>,
}

impl Readers {
    /// Hands pages to `act` in their order, each as soon as it and all before it are read. An error of `act` ends the reading.
    ///
    /// # Errors
    /// An interruption; what `act` fails with.
    pub fn each(self, pages: Pages, mut act: impl FnMut(Done) -> Result<(), Failure>) -> Result<(), Failure> {
        let count = self.count.max(1);
        let shared = Arc::new(Shared {
            readers: self,
            pages: Mutex::new(pages),
            taken: Mutex::new(0),
            was_taken: Condvar::new(),
            reading: Mutex::new(()),
        });
        let (sender, results) = channel();
        let listener = Listener::new();
        let mut started = 0;
        for _ in 0..count {
            let (shared, sender) = (shared.clone(), sender.clone());
            let life = move || shared.live(&sender);
            // The threads are left alone when this ends early: the program ends then.
            let thread = thread::Builder::new().name("reading".into()).spawn(life);
            match thread {
                Ok(_) => started += 1,
                Err(error) if started == 0 => {
                    return Err(Failure::new(format!("no thread can be started: {error}")).hint(
                        "the limits of this account or container on processes or memory are too narrow",
                    ));
                }
                Err(_) => break,
            }
        }
        drop(sender);
        let (mut waiting, mut next) = (BTreeMap::new(), 0);
        loop {
            if listener.requested() {
                return Err(Failure::interrupted());
            }
            match results.recv_timeout(LOOK) {
                Ok((index, done)) => drop(waiting.insert(index, done)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            while let Some(done) = waiting.remove(&next) {
                next += 1;
                *held(&shared.taken) = next;
                shared.was_taken.notify_all();
                act(done)?;
            }
        }
    }
}

impl Shared {
    fn live(&self, sender: &Sender<(usize, Done)>) {
        let life = || {
            while let Some(next) = self.next() {
                let read = |job: &Job| {
                    catch_unwind(AssertUnwindSafe(|| self.read(job)))
                        // The hook has said what happened.
                        .unwrap_or_else(|_| Err(Failure::reported()))
                };
                let (index, done) = match next {
                    Ok(job) => {
                        let page = read(&job);
                        let (input, pages) = (job.input, job.pages);
                        let more = job.page + 1 < pages;
                        (
                            job.index,
                            Done {
                                input,
                                more,
                                pages,
                                page,
                            },
                        )
                    }
                    Err((index, input, failure)) => {
                        let page = Err(failure);
                        (
                            index,
                            Done {
                                input,
                                more: false,
                                pages: 1,
                                page,
                            },
                        )
                    }
                };
                if sender.send((index, done)).is_err() {
                    return;
                }
            }
        };
        match self.readers.alone {
            true => prefetch::by_itself(life),
            false => life(),
        }
    }

    /// The next page, when no more results wait than there are threads.
    fn next(&self) -> Option<Next> {
        let next = held(&self.pages).next()?;
        let index = match &next {
            Ok(job) => job.index,
            Err((index, ..)) => *index,
        };
        let ahead = 2 * self.readers.count.max(1);
        let mut taken = held(&self.taken);
        while index >= *taken + ahead {
            taken = self.was_taken.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        Some(next)
    }

    fn read(&self, job: &Job) -> Result<ReadPage, Failure> {
        let (session, name) = (&self.readers.session, &job.name);
        let options = PageOptions {
            page: job.page,
            ..self.readers.options.clone()
        };
        let prepared = ocellus_kernels::alone(|| session.prepare_page(&job.bytes, &options));
        let prepared = prepared.map_err(|error| error.about(name))?;
        let turn = (!self.readers.alone).then(|| held(&self.reading));
        let text = session.read_page(&prepared, &mut |_| ControlFlow::Continue(()));
        drop(turn);
        let text = text.map_err(|error| error.about(name))?;
        let image = prepared.image;
        let mut page = OcrPage::new(name, job.page + 1, &image, text);
        page.warnings
            .extend(inputs::skipped_frames(&job.bytes).map(|message| Warning {
                kind: WarningKind::Skipped,
                message,
                bbox: [0.0, 0.0, image.width as f32, image.height as f32],
            }));
        Ok(ReadPage { page, image })
    }
}

/// What a panicking thread leaves is whole: nothing here is changed in several steps.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
