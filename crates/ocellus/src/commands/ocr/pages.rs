//! The pages of all inputs, one after another: every page of a file that has several.

use std::path::PathBuf;
use std::sync::Arc;

use ocellus_media::Limits;

use crate::error::Failure;
use crate::inputs;

/// A page that is to be read.
pub struct Job {
    /// Its place among all pages of all inputs.
    pub index: usize,
    /// Its input's place among the inputs.
    pub input: usize,
    pub name: String,
    /// Counted from 0.
    pub page: u32,
    pub pages: u32,
    /// The file, shared by its pages.
    pub bytes: Arc<Vec<u8>>,
}

/// The pages of inputs, whose files are read when they are reached.
pub struct Pages {
    inputs: std::vec::IntoIter<Result<PathBuf, Failure>>,
    begun: usize,
    given: usize,
    open: Option<Job>,
    /// Of the first input, when it was opened early.
    failed: Option<(usize, usize, Failure)>,
}

/// A page, or an input that cannot be read, with its place among all pages.
pub type Next = Result<Job, (usize, usize, Failure)>;

impl Pages {
    pub fn new(paths: Vec<Result<PathBuf, Failure>>) -> Self {
        Self {
            inputs: paths.into_iter(),
            begun: 0,
            given: 0,
            open: None,
            failed: None,
        }
    }

    /// How many pages there are at least. One input may have many, which only its bytes tell; they are read for that, where reading
    /// does not wait.
    pub fn at_least(&mut self) -> usize {
        let first = match self.inputs.as_slice() {
            [Ok(path)] if !inputs::may_wait(path) => self.open_next(),
            paths => return paths.len(),
        };
        match first {
            Some(Err(failed)) => {
                self.failed = Some(failed);
                1
            }
            _ => self.open.as_ref().map_or(0, |job| job.pages as usize),
        }
    }

    fn open_next(&mut self) -> Option<Result<(), (usize, usize, Failure)>> {
        let input = self.begun;
        let path = self.inputs.next()?;
        self.begun += 1;
        let read = path.and_then(|path| Ok((inputs::name(&path), inputs::read_all(&path)?)));
        Some(match read {
            Ok((name, bytes)) => {
                self.open = Some(Job {
                    index: 0,
                    input,
                    name,
                    page: 0,
                    pages: count(&bytes),
                    bytes: Arc::new(bytes),
                });
                Ok(())
            }
            Err(failure) => {
                self.given += 1;
                Err((self.given - 1, input, failure))
            }
        })
    }
}

/// Pages of a file; decoding reports a file that has none.
fn count(bytes: &[u8]) -> u32 {
    ocellus_media::pages(bytes, &Limits::default())
        .unwrap_or(1)
        .max(1)
}

impl Iterator for Pages {
    type Item = Next;

    fn next(&mut self) -> Option<Next> {
        if let Some(failed) = self.failed.take() {
            return Some(Err(failed));
        }
        if self.open.is_none()
            && let Err(failed) = self.open_next()?
        {
            return Some(Err(failed));
        }
        let open = self.open.take()?;
        let index = self.given;
        self.given += 1;
        if open.page + 1 < open.pages {
            self.open = Some(Job {
                page: open.page + 1,
                name: open.name.clone(),
                bytes: open.bytes.clone(),
                ..open
            });
        }
        Some(Ok(Job { index, ..open }))
    }
}
