//! One download of a blob at a time, over all processes.
//!
//! The lock file stands where the hub's Python client puts it (`.locks/<repository>/<blob>.lock`) and is held the same
//! way (`flock`), so the two programs wait for each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::{HubError, Progress};

const POLL: Duration = Duration::from_millis(200);

/// Holds the lock until dropped. The file itself stays: removing it would let two holders in.
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its drop")] Option<File>);

impl Lock {
    /// Waits at most `wait` for the lock of `path`.
    pub fn take(path: &Path, wait: Duration, progress: &dyn Progress) -> Result<Self, HubError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(HubError::io("create the folder", folder))?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(HubError::io("open the lock", path))?;
        let polls = wait.as_millis() / POLL.as_millis();
        for poll in 0..=polls {
            match file.try_lock() {
                Ok(()) => return Ok(Self(Some(file))),
                Err(TryLockError::WouldBlock) if poll == polls => break,
                Err(TryLockError::WouldBlock) if progress.cancelled() => return Err(HubError::Cancelled),
                Err(TryLockError::WouldBlock) => {
                    if poll == 0 {
                        progress.note("waiting for another process that downloads the same file");
                    }
                    std::thread::sleep(POLL);
                }
                // Some network file systems have no locks; the download is then safe within one process only.
                Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                    return Ok(Self(None));
                }
                Err(TryLockError::Error(error)) => return Err(HubError::io("lock", path)(error)),
            }
        }
        Err(HubError::Locked { path: path.into() })
    }
}
