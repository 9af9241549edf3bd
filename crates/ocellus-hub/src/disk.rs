//! The two disk operations of a download, behind an interface so that a test can simulate a full disk.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// Room and writing.
pub(crate) trait Disk: Send + Sync {
    /// Bytes that may still be written at this path's file system by this user.
    fn available_bytes(&self, folder: &Path) -> io::Result<u64>;
    /// Opens a file to write at its end, creating it if needed.
    fn append(&self, file: &Path) -> io::Result<Box<dyn Write>>;
}

/// The machine's own.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn available_bytes(&self, folder: &Path) -> io::Result<u64> {
        fs4::available_space(folder)
    }

    fn append(&self, file: &Path) -> io::Result<Box<dyn Write>> {
        Ok(Box::new(OpenOptions::new().create(true).append(true).open(file)?))
    }
}

/// Bytes free for this user where `folder` is, or would be: of the nearest existing ancestor.
pub fn available_bytes(folder: &Path) -> io::Result<u64> {
    let existing = folder
        .ancestors()
        .find(|path| path.is_dir())
        .unwrap_or(Path::new("."));
    RealDisk.available_bytes(existing)
}
