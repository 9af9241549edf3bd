//! Ctrl-C, and the request of a system or a terminal to end, end the program at once with exit code 130, or, while a command polls for it,
//! between two steps.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

static LISTENING: AtomicBool = AtomicBool::new(false);
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Installs the handler, once, before anything runs.
pub fn install() {
    // Who runs out of memory is told so by the library and ends like any other failure, without a core dump.
    #[cfg(unix)]
    let _ = signal_hook::flag::register_conditional_shutdown(
        signal_hook::consts::SIGABRT,
        1,
        std::sync::Arc::new(AtomicBool::new(true)),
    );
    // Without a handler the system's own behaviour stays: the process ends all the same.
    let _ = ctrlc::set_handler(|| {
        let listened = LISTENING.load(Ordering::SeqCst);
        // The second request ends the program at once.
        if !listened || REQUESTED.swap(true, Ordering::SeqCst) {
            ocellus_base::unfinished::remove_all();
            std::process::exit(130);
        }
    });
}

/// While this lives, the first Ctrl-C is a request and the program goes on.
#[must_use]
pub struct Listener(());

impl Listener {
    /// Begins to listen; a request from before is forgotten.
    pub fn new() -> Self {
        REQUESTED.store(false, Ordering::SeqCst);
        LISTENING.store(true, Ordering::SeqCst);
        Self(())
    }

    /// Whether to go on.
    pub fn flow(&self) -> ControlFlow<()> {
        match self.requested() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Whether Ctrl-C was pressed since.
    pub fn requested(&self) -> bool {
        REQUESTED.load(Ordering::SeqCst)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        LISTENING.store(false, Ordering::SeqCst);
    }
}
