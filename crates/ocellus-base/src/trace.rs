//! Spans of work, reported to a profiler.
//!
//! Crates below the binary name their work ([`span`]) and read no clock. The binary may set a [`Recorder`], once, which
//! has one. Without it a span costs one relaxed load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Is called for spans on their own thread; they close in reverse order.
pub trait Recorder: Send + Sync {
    fn enter(&self, name: &'static str);
    /// The span that was entered last on this thread and is still open has ended.
    fn leave(&self);
}

static ON: AtomicBool = AtomicBool::new(false);
static RECORDER: OnceLock<Box<dyn Recorder>> = OnceLock::new();

/// Sets the recorder of all spans from now on. `false` = there is one already, which stays.
pub fn record(recorder: Box<dyn Recorder>) -> bool {
    let first = RECORDER.set(recorder).is_ok();
    ON.store(true, Ordering::Release);
    first
}

/// Work that lasts as long as this value.
#[must_use = "a span ends where it is dropped"]
pub struct Span(Option<&'static dyn Recorder>);

/// Begins a span; `name` is the field's word for the operation.
#[inline]
pub fn span(name: &'static str) -> Span {
    if ON.load(Ordering::Relaxed) {
        begin(name)
    } else {
        Span(None)
    }
}

#[cold]
fn begin(name: &'static str) -> Span {
    let recorder = RECORDER.get().map(|recorder| &**recorder);
    if let Some(recorder) = recorder {
        recorder.enter(name);
    }
    Span(recorder)
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(recorder) = self.0 {
            recorder.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Default)]
    struct Notes(Arc<Mutex<Vec<&'static str>>>);

    impl Recorder for Notes {
        fn enter(&self, name: &'static str) {
            self.0.lock().unwrap().push(name);
        }

        fn leave(&self) {
            self.0.lock().unwrap().push("-");
        }
    }

    // One test: there is one recorder for the whole process.
    #[test]
    fn spans_are_heard_from_when_somebody_listens() {
        drop(span("before"));
        let notes = Arc::new(Mutex::new(Vec::new()));
        let open = span("open while it is set");
        assert!(record(Box::new(Notes(notes.clone()))));
        drop(open);
        {
            let _outer = span("outer");
            drop(span("inner"));
        }
        assert_eq!(*notes.lock().unwrap(), ["outer", "inner", "-", "-"]);
        assert!(!record(Box::new(Notes::default())), "the first one stays");
        drop(span("last"));
        assert_eq!(notes.lock().unwrap().len(), 6);
    }
}
