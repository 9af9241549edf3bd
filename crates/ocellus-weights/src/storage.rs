//! Where the bytes of a file live: mapped from disk, compiled in, or owned.

#[cfg(unix)]
use crate::lost::Watched;
use crate::{Result, WeightsError};
use std::path::{Path, PathBuf};

pub(crate) enum Storage {
    Mapped(Mapped),
    Static(&'static [u8]),
    Owned(Vec<u8>),
}

/// A file that is mapped.
pub(crate) struct Mapped {
    path: PathBuf,
    /// Dropped before the map.
    #[cfg(unix)]
    watched: Watched,
    map: memmap2::Mmap,
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
        // are only ever read as plain bytes, so no value of them is invalid; where they are cut off, zeros are read (`lost`).
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(io)?;
        Ok(Storage::Mapped(Mapped {
            path: path.to_path_buf(),
            #[cfg(unix)]
            watched: Watched::new(&map),
            map,
        }))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Storage::Mapped(mapped) => &mapped.map,
            Storage::Static(bytes) => bytes,
            Storage::Owned(bytes) => bytes,
        }
    }

    /// Fails where bytes of the file were cut off since it was mapped and have been read as zeros.
    pub(crate) fn intact(&self) -> Result<()> {
        match self {
            #[cfg(unix)]
            Storage::Mapped(mapped) if mapped.watched.is_lost() => Err(WeightsError::Lost {
                file: mapped.path.clone(),
            }),
            _ => Ok(()),
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
        if let Storage::Mapped(Mapped { map, .. }) = self {
            // SAFETY: the map is read-only and backed by the file, so that dropped pages come back with the same bytes.
            let _ = unsafe {
                map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len())
            };
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}
