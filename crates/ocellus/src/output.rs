//! Writing results. The only file that touches standard output.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::error::Failure;

pub use ocellus_base::columns::columns as table;
pub use ocellus_base::units::{count, size};

/// Writes a piece of a result as it is, at once: a stream of text must be seen while it grows.
pub fn write(text: &str) -> Result<(), Failure> {
    write_bytes(text.as_bytes())
}

/// The same of what is no text.
pub fn write_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::nobody_listens(),
            _ => Failure::io("write", Path::new("standard output"), &error),
        })
}

/// Writes a line of a result.
pub fn line(text: &str) -> Result<(), Failure> {
    write(&format!("{text}\n"))
}

/// Prints a note that is not a result: a line on standard error.
pub fn note(text: &str) {
    // There is nowhere to report that standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes a result as indented JSON.
pub fn json(value: &serde_json::Value) -> Result<(), Failure> {
    line(&format!("{value:#}"))
}
