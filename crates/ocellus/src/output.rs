//! Writing results. The only file that touches standard output.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::error::Failure;

pub use ocellus_base::columns::columns as table;
pub use ocellus_base::units::{count, size};

/// Writes a piece of a result as it is, at once: a stream of text must be seen while it grows.
pub fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
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

/// Asks for input: on standard error, without a line break.
pub fn prompt(text: &str) {
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// Whether a file can stand at `path`: its folder exists, and it is not a folder itself.
pub fn place(path: &Path) -> Result<(), Failure> {
    let kind = match path.parent() {
        _ if path.is_dir() => ErrorKind::IsADirectory,
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => ErrorKind::NotFound,
        _ => return Ok(()),
    };
    Err(Failure::io("write", path, &kind.into()))
}

/// Writes a file whole or not at all.
pub fn file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    std::fs::write(&part, bytes)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|error| {
            let _ = std::fs::remove_file(&part);
            Failure::io("write", path, &error)
        })
}

/// Writes a result as indented JSON.
pub fn json(value: &serde_json::Value) -> Result<(), Failure> {
    line(&format!("{value:#}"))
}
