//! Writing results. The only file that touches standard output.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::error::Failure;

pub use ocellus_base::units::size;

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

/// Tells a user something that is not a result: a line on standard error.
pub fn note(text: &str) {
    // Nobody is left to tell when standard error is gone.
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

/// Rows of text with their columns aligned; the last column is not padded.
pub fn table(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                let pad = width(column).unwrap_or(0).saturating_sub(cell.chars().count()) + 2;
                text.extend(std::iter::repeat_n(' ', pad));
            }
        }
        text.push('\n');
    }
    text
}

/// `3.75 B`: thousands, millions, billions, trillions.
pub fn count(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{:.1} k", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", number as f64 / 1e6),
        1_000_000_000..1_000_000_000_000 => format!("{:.2} B", number as f64 / 1e9),
        _ => format!("{:.2} T", number as f64 / 1e12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        for (number, expected) in [
            (7, "7"),
            (12_300, "12.3 k"),
            (3_754_622_976, "3.75 B"),
            (6_026_000_000_000, "6.03 T"),
        ] {
            assert_eq!(count(number), expected);
        }
    }

    #[test]
    fn columns_line_up() {
        let rows = [["a", "bb"], ["ccc", "d"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "a    bb\nccc  d\n");
    }
}
