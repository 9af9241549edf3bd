//! What fuzz targets share: a folder in memory for files that are read by their path.

use std::fs;
use std::path::{Path, PathBuf};

/// A folder of one fuzzing process, emptied for every input.
pub struct Folder(PathBuf);

impl Folder {
    /// # Panics
    /// Where the folder cannot be made.
    pub fn with(files: &[(&str, &[u8])]) -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let path = parent.join(format!("ocellus-fuzz-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a new folder");
        for (name, bytes) in files {
            fs::write(path.join(name), bytes).expect("a new file");
        }
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A choice of `0..count` by the first byte of an input, and the rest of it.
pub fn choice(bytes: &[u8], count: u8) -> Option<(u8, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    Some((first % count, rest))
}

/// What stands before and behind the first line of `====`.
pub fn two(bytes: &[u8]) -> (&[u8], &[u8]) {
    const LINE: &[u8] = b"\n====\n";
    match bytes.windows(LINE.len()).position(|window| window == LINE) {
        Some(at) => (&bytes[..at], &bytes[at + LINE.len()..]),
        None => (bytes, b""),
    }
}

/// Lets panics pass that the program contains: the fuzzer's own hook ends the process at every panic.
pub fn pass_contained() {
    let ends = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !ocellus_base::contained::is_contained() {
            ends(panic);
        }
    }));
}
