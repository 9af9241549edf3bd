//! Log lines on standard error: warnings as sentences, the rest with level and room.

use std::io::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::args::Global;
use crate::environment::Environment;
use crate::terminal::one_line;

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata) -> bool {
        // Our own rooms only: a library's log may hold what a user would not want to paste into a report.
        metadata.target().starts_with("ocellus")
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            // What a user should know of their own input needs no address in the program.
            let _ = match record.level() {
                Level::Warn => writeln!(
                    std::io::stderr().lock(),
                    "warning: {}",
                    one_line(&record.args().to_string())
                ),
                level => {
                    let level = level.as_str().to_ascii_lowercase();
                    writeln!(
                        std::io::stderr().lock(),
                        "{level}: {}: {}",
                        record.target(),
                        one_line(&record.args().to_string())
                    )
                }
            };
        }
    }

    fn flush(&self) {}
}

/// Flag before environment before default.
pub fn install(global: &Global, environment: &Environment) {
    let default = if global.quiet {
        LevelFilter::Error
    } else {
        LevelFilter::Warn
    };
    let level = global.log_level.or(environment.log).unwrap_or(default);
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
}
