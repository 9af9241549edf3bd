//! Many inputs of one command: one that fails is reported, the rest go on.

use std::path::{Path, PathBuf};

use ocellus_session::prefetched;

use crate::error::Failure;
use crate::inputs;

/// Runs `action` on what `prepare` makes of every picture, the next one being prepared meanwhile; one that fails is reported
/// when it is reached, and the rest go on.
pub fn each_prepared<T: Send>(
    arguments: &[PathBuf],
    prepare: impl Fn(&Path) -> Result<T, Failure> + Sync,
    mut action: impl FnMut(T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    prefetched(
        inputs::all(arguments),
        |path| path.as_ref().is_ok_and(|path| inputs::may_wait(path)),
        |path| prepare(&path?),
        |pictures| each(pictures, |picture| action(picture?)),
    )
}

/// Runs `action` on every item; one that fails is reported and the rest go on. The end is then exit code 1.
pub fn each<T>(
    items: impl IntoIterator<Item = T>,
    mut action: impl FnMut(T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut batch = Batch::default();
    for item in items {
        batch.take(action(item))?;
    }
    batch.end()
}

/// What came of the items so far.
#[derive(Debug, Default)]
pub struct Batch {
    failed: bool,
}

impl Batch {
    /// Reports a failure and goes on; an interruption, wrong usage or closed output ends the batch.
    pub fn take(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        match outcome {
            Err(failure) if failure.code() != 1 => return Err(failure),
            Err(failure) => {
                failure.report();
                self.failed = true;
            }
            Ok(()) => {}
        }
        Ok(())
    }

    /// The end of the batch: exit code 1 when anything failed.
    pub fn end(self) -> Result<(), Failure> {
        if self.failed {
            Err(Failure::reported())
        } else {
            Ok(())
        }
    }
}
