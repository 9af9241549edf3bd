//! Where the bytes of a file live: mapped from disk, compiled in, or owned.

use crate::{Result, WeightsError};
use std::path::Path;

pub(crate) enum Storage {
    Mapped(memmap2::Mmap),
    Static(&'static [u8]),
    Owned(Vec<u8>),
}

impl Storage {
    /// Maps `path` read-only. The operating system loads pages when they are first touched.
    #[expect(
        unsafe_code,
        reason = "memory-mapping a file is unsafe; see the comment at the call"
    )]
    pub(crate) fn map(path: &Path) -> Result<Storage> {
        let io = |source| WeightsError::Io {
            file: path.to_path_buf(),
            source,
        };
        let file = ocellus_base::files::open(path).map_err(io)?;
        // SAFETY: the map is private to this process, read-only, and lives as long as every slice borrowed from it. What
        // the type system cannot promise is that no process changes or truncates the file meanwhile. Our own writer never
        // does: it writes a new file and renames it over the old name, which leaves the mapped one intact. The contents
        // are only ever read as plain bytes, so no value of them is invalid.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(io)?;
        Ok(Storage::Mapped(map))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Storage::Mapped(map) => map,
            Storage::Static(bytes) => bytes,
            Storage::Owned(bytes) => bytes,
        }
    }

    /// Tells the operating system that the bytes `range` are not needed in memory for now; they are read again when they are
    /// touched. Without effect on bytes that are not mapped.
    #[expect(
        unsafe_code,
        reason = "the advice is unsafe for maps that can be written; see the comment at the call"
    )]
    pub(crate) fn release(&self, range: std::ops::Range<usize>) {
        #[cfg(unix)]
        if let Storage::Mapped(map) = self {
            // SAFETY: the map is read-only and backed by the file, so that dropped pages come back with the same bytes.
            let _ = unsafe {
                map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len())
            };
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}
