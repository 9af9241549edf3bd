//! Writing results. The only file that touches standard output.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::error::Failure;
use crate::terminal::{one_line, visible};

pub use ocellus_base::units::{count, size};

/// Writes a piece of a result at once: a stream of text must be seen while it grows. What a terminal would obey is escaped.
pub fn write(text: &str) -> Result<(), Failure> {
    write_bytes(text.as_bytes())
}

/// The same of what may be no text, which is written as it is.
pub fn write_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let shown = std::str::from_utf8(bytes).map(visible);
    let bytes = shown.as_ref().map_or(bytes, String::as_bytes);
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::nobody_listens(),
            _ => Failure::io("write", Path::new("standard output"), &error),
        })
}

/// Rows with their columns aligned; each stays one line, whatever its cells hold.
pub fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| one_line(cell)).collect())
        .collect();
    ocellus_base::columns::columns(&rows)
}

/// Writes a line of a result.
pub fn line(text: &str) -> Result<(), Failure> {
    write(&format!("{text}\n"))
}

/// Prints a note that is not a result: a line on standard error.
pub fn note(text: &str) {
    // There is nowhere to report that standard error is closed.
    let _ = writeln!(io::stderr(), "{}", visible(text));
}

/// Writes a result as indented JSON.
pub fn json(value: &serde_json::Value) -> Result<(), Failure> {
    line(&format!("{value:#}"))
}

/// Says which links were not copied into a new model folder.
pub fn links_left_out(names: &[String]) {
    for name in names {
        note(&format!(
            "warning: {name} is a link that leads out of the model's folder, and was not copied"
        ));
    }
}
