//! The folder of a run, which one process at a time writes to.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use ocellus_base::unfinished;

use crate::TrainError;

/// The whole state of the run.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// Held while a process writes to the folder; the file itself stays.
const LOCK: &str = ".ocellus-run.lock";

/// A run's folder, locked until it is dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: Option<File>,
}

impl RunFolder {
    /// Makes the folder of a new run, or takes an empty one.
    ///
    /// # Errors
    /// As [`check_new`](Self::check_new), and a folder that another process writes to.
    pub fn begin(path: &Path) -> Result<Self, TrainError> {
        std::fs::create_dir_all(path).map_err(TrainError::io(path))?;
        let folder = Self::locked(path)?;
        Self::check_new(path)?;
        Ok(folder)
    }

    /// Takes the folder of a run that is to go on; what a process that was killed has left half-written is removed.
    ///
    /// # Errors
    /// A folder without a checkpoint, or one that another process writes to.
    pub fn resume(path: &Path) -> Result<Self, TrainError> {
        if !path.join(CHECKPOINT).is_file() {
            return Err(TrainError::NoRun { path: path.into() });
        }
        let folder = Self::locked(path)?;
        unfinished::remove_left(path).map_err(TrainError::io(path))?;
        Ok(folder)
    }

    /// Fails unless a new run can begin here without anything being replaced.
    ///
    /// # Errors
    /// [`TrainError::NotEmpty`].
    pub fn check_new(path: &Path) -> Result<(), TrainError> {
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(TrainError::io(path)(error)),
        };
        for entry in entries {
            let name = entry.map_err(TrainError::io(path))?.file_name();
            if name != LOCK {
                return Err(TrainError::NotEmpty {
                    path: path.into(),
                    found: name.to_string_lossy().into_owned(),
                });
            }
        }
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn locked(path: &Path) -> Result<Self, TrainError> {
        let lock = path.join(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(TrainError::io(&lock))?;
        let _lock = match file.try_lock() {
            Ok(()) => Some(file),
            Err(TryLockError::WouldBlock) => return Err(TrainError::InUse { path: path.into() }),
            // Some network file systems have no locks.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => None,
            Err(TryLockError::Error(error)) => return Err(TrainError::io(&lock)(error)),
        };
        let path = path.to_owned();
        Ok(Self { path, _lock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_run_replaces_nothing_and_one_process_writes_at_a_time() {
        let folder = std::env::temp_dir().join(format!("ocellus-train-folder-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let run = folder.join("a/run");
        let model = folder.join("model");
        std::fs::create_dir_all(&model).unwrap();
        for name in ["model.safetensors", "tokenizer.json", "notes.txt"] {
            let path = model.join(name);
            std::fs::write(&path, "kept").unwrap();
            let error = RunFolder::begin(&model).unwrap_err();
            assert!(
                matches!(&error, TrainError::NotEmpty { found, .. } if found == name),
                "{error}"
            );
            assert_eq!(std::fs::read(&path).unwrap(), b"kept");
            std::fs::remove_file(path).unwrap();
        }
        RunFolder::check_new(&run).unwrap();
        let first = RunFolder::begin(&run).unwrap();
        let second = RunFolder::begin(&run).unwrap_err();
        assert!(matches!(second, TrainError::InUse { .. }), "{second}");
        assert!(matches!(
            RunFolder::resume(&run).unwrap_err(),
            TrainError::NoRun { .. }
        ));
        std::fs::write(run.join(CHECKPOINT), "").unwrap();
        assert!(matches!(
            RunFolder::resume(&run).unwrap_err(),
            TrainError::InUse { .. }
        ));
        drop(first);
        let killed = run.join(".ocellus-0000000000000000.part");
        std::fs::write(&killed, "half").unwrap();
        let resumed = RunFolder::resume(&run).unwrap();
        assert!(!killed.exists());
        assert_eq!(resumed.path(), run);
        drop(resumed);
        assert!(matches!(
            RunFolder::begin(&run).unwrap_err(),
            TrainError::NotEmpty { .. }
        ));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
