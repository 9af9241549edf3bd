//! Bars and notes of a download, on standard error; bars only on a terminal, nothing with `--quiet`.

use std::io::IsTerminal;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ocellus_hub::Progress;
use ocellus_models::ConfigError;

use crate::output;
use crate::terminal::one_line;

/// Shows one file at a time. Ctrl-C ends the program at once: what was written so far is kept and continued next time.
pub struct Downloads {
    quiet: bool,
    on_terminal: bool,
    bar: Mutex<Option<ProgressBar>>,
    last_note: Mutex<String>,
}

impl Downloads {
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            on_terminal: std::io::stderr().is_terminal(),
            bar: Mutex::new(None),
            last_note: Mutex::default(),
        }
    }

    fn with_bar(&self, action: impl FnOnce(&mut Option<ProgressBar>)) {
        // A bar that was left by a panicking thread is still a bar.
        action(&mut self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Progress for Downloads {
    fn start(&self, file: &str, done_bytes: u64, total_bytes: u64) {
        if self.quiet || !self.on_terminal {
            return;
        }
        let template =
            "{msg} [{wide_bar}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::stderr())
            .with_style(style.progress_chars("=> "))
            .with_message(one_line(file))
            .with_position(done_bytes);
        // A file that goes on from an earlier attempt must not look as fast as the part that was there.
        bar.reset_eta();
        self.with_bar(|slot| *slot = Some(bar));
    }

    fn advance(&self, _file: &str, done_bytes: u64) {
        self.with_bar(|slot| {
            if let Some(bar) = slot {
                bar.set_position(done_bytes);
            }
        });
    }

    fn finish(&self, file: &str) {
        self.with_bar(|slot| match slot.take() {
            Some(bar) => bar.finish(),
            None if !self.quiet => {
                output::note(&format!("downloaded {file}"));
            }
            None => {}
        });
    }

    fn accept(&self, file: &str, bytes: &[u8]) -> Result<(), String> {
        if !file.ends_with("config.json") {
            return Ok(());
        }
        // A file that is damaged is reported when the model is opened.
        let Ok(config) = serde_json::from_slice(bytes) else {
            return Ok(());
        };
        match ocellus_models::find(&config) {
            Err(error @ (ConfigError::Architecture { .. } | ConfigError::Unnamed { .. })) => {
                Err(error.to_string())
            }
            _ => Ok(()),
        }
    }

    fn note(&self, message: &str) {
        // The same again says nothing new.
        let mut last = self
            .last_note
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.quiet || *last == message {
            return;
        }
        message.clone_into(&mut last);
        self.with_bar(|slot| match slot {
            Some(bar) => bar.println(one_line(message)),
            None => {
                output::note(message);
            }
        });
    }
}

/// One line about how it went, on standard error, unless `--quiet`.
pub fn note(quiet: bool, message: &str) {
    if !quiet {
        output::note(message);
    }
}

/// A bar over pages that are read, with the time that remains; on a terminal, with more than one page, not with `--quiet`.
pub struct PageBar(Option<ProgressBar>);

impl PageBar {
    pub fn new(quiet: bool, pages: usize) -> Self {
        if quiet || pages < 2 || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let template = "[{wide_bar}] {pos}/{len} pages, {elapsed} elapsed, {eta} to go";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(pages as u64), ProgressDrawTarget::stderr());
        let bar = bar.with_style(style.progress_chars("=> "));
        bar.enable_steady_tick(std::time::Duration::from_secs(1));
        Self(Some(bar))
    }

    /// More pages than were known of.
    pub fn lengthen(&self, pages: u64) {
        if let Some(bar) = &self.0 {
            bar.inc_length(pages);
        }
    }

    pub fn advance(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// Runs `action`, which prints, without the bar in between.
    pub fn suspended<R>(&self, action: impl FnOnce() -> R) -> R {
        match &self.0 {
            Some(bar) => bar.suspend(action),
            None => action(),
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
