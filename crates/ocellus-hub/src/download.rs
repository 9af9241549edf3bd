//! One file from a URL to a blob: resumed, checked, and only then given its name.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::checksum::Hasher;
use crate::disk::Disk;
use crate::http::{Client, Failure};
use crate::listing::RemoteFile;
use crate::{HubError, Progress};

const BLOCK_BYTES: usize = 256 << 10;

/// What every file of one download shares.
pub(crate) struct Downloader<'a> {
    pub client: &'a Client,
    pub disk: &'a dyn Disk,
    pub retry_delays: &'a [Duration],
    pub host: &'a str,
    pub progress: &'a dyn Progress,
}

impl Downloader<'_> {
    /// Downloads `file` to `blob` by way of `<blob>.incomplete`, which stays when this fails half-way and is
    /// continued next time. Attempts that bring new bytes do not count against the retries.
    pub fn fetch(&self, url: &str, file: &RemoteFile, blob: &Path) -> Result<(), HubError> {
        let mut part = Part::open(file, blob)?;
        self.progress.start(&file.name, part.done_bytes, file.size_bytes);
        let mut failures = 0;
        // Bytes that are fetched again after the part was started anew are no progress.
        let mut most_bytes = part.done_bytes;
        let mut started_over = false;
        loop {
            let outcome = if part.is_complete() {
                Ok(())
            } else {
                self.attempt(url, &mut part)
            };
            let reason = match outcome {
                Ok(()) => match part.finish(blob) {
                    // The part of an earlier attempt may be of another file: start again once from nothing.
                    Err(HubError::Checksum { .. }) if part.resumed && !started_over => {
                        started_over = true;
                        part.restart()?;
                        self.progress.note(&format!(
                            "{}: the part from an earlier attempt was damaged",
                            file.name
                        ));
                        continue;
                    }
                    Err(error) => return Err(error),
                    Ok(()) => {
                        self.progress.finish(&file.name);
                        return Ok(());
                    }
                },
                Err(Stop::Fatal(error)) => return Err(error),
                Err(Stop::Again(reason)) => reason,
            };
            if part.done_bytes > most_bytes {
                most_bytes = part.done_bytes;
                failures = 0;
            }
            let Some(delay) = self.retry_delays.get(failures) else {
                return Err(HubError::Unreachable {
                    what: file.name.clone(),
                    host: self.host.into(),
                    reason,
                    attempts: failures + 1,
                });
            };
            failures += 1;
            self.progress
                .note(&format!("{}: {reason}; trying again", file.name));
            std::thread::sleep(*delay);
        }
    }

    /// One request from the end of the part; it may end early.
    fn attempt(&self, url: &str, part: &mut Part) -> Result<(), Stop> {
        let answer = match self.client.get(url, part.done_bytes) {
            Ok(answer) => answer,
            Err(Failure::Transient(reason)) => return Err(Stop::Again(reason)),
            // The part does not fit the file as it is now.
            Err(Failure::Status { status: 416, .. }) if part.done_bytes > 0 => {
                part.restart()?;
                return Err(Stop::Again("the server cannot continue the part".into()));
            }
            Err(failure) => return Err(Stop::Fatal(refusal(failure, &part.file.name, self.host))),
        };
        if part.done_bytes > 0 {
            let continues =
                answer.status == 206 && answer.range().is_some_and(|(first, _)| first == part.done_bytes);
            if !continues {
                part.restart()?;
                if answer.status == 206 {
                    return Err(Stop::Again("the server continued at another place".into()));
                }
            }
        }
        let mut writer = self
            .disk
            .append(&part.path)
            .map_err(HubError::io("write", &part.path))?;
        let mut reader = answer.into_reader();
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            if self.progress.cancelled() {
                return Err(Stop::Fatal(HubError::Cancelled));
            }
            let count = match reader.read(&mut block) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Stop::Again(format!("the connection broke off ({error})"))),
            };
            if count == 0 {
                break;
            }
            if part.done_bytes + count as u64 > part.file.size_bytes {
                let found = format!("more than {} bytes", part.file.size_bytes);
                drop(writer);
                part.restart()?;
                return Err(Stop::Fatal(part.mismatch(found)));
            }
            writer
                .write_all(&block[..count])
                .map_err(|error| part.write_error(error))?;
            part.took(&block[..count]);
            self.progress.advance(&part.file.name, part.done_bytes);
        }
        writer.flush().map_err(|error| part.write_error(error))?;
        if part.is_complete() {
            Ok(())
        } else {
            Err(Stop::Again("the connection broke off".into()))
        }
    }
}

/// Why an attempt ended.
enum Stop {
    Again(String),
    Fatal(HubError),
}

impl From<HubError> for Stop {
    fn from(error: HubError) -> Self {
        Self::Fatal(error)
    }
}

/// `<blob>.incomplete`: its bytes so far and their running checksum.
struct Part<'f> {
    file: &'f RemoteFile,
    path: PathBuf,
    done_bytes: u64,
    hasher: Hasher,
    /// Whether bytes of an earlier attempt are in it.
    resumed: bool,
}

impl<'f> Part<'f> {
    fn open(file: &'f RemoteFile, blob: &Path) -> Result<Self, HubError> {
        let path = blob.with_extension("incomplete");
        let hasher = file.checksum.hasher(file.size_bytes);
        let mut part = Self {
            file,
            path,
            done_bytes: 0,
            hasher,
            resumed: false,
        };
        // A link or a pipe that was put there is not written through.
        if !fs::symlink_metadata(&part.path).is_ok_and(|found| found.is_file()) {
            part.restart()?;
            return Ok(part);
        }
        let mut reader = fs::File::open(&part.path).map_err(HubError::io("read", &part.path))?;
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            let count = reader
                .read(&mut block)
                .map_err(HubError::io("read", &part.path))?;
            if count == 0 {
                break;
            }
            part.took(&block[..count]);
            part.resumed = true;
        }
        if part.done_bytes > file.size_bytes {
            part.restart()?;
        }
        Ok(part)
    }

    fn is_complete(&self) -> bool {
        self.done_bytes == self.file.size_bytes
    }

    fn took(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.done_bytes += bytes.len() as u64;
    }

    fn restart(&mut self) -> Result<(), HubError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(HubError::io("replace", &self.path)(error));
            }
            _ => fs::File::create_new(&self.path).map_err(HubError::io("write", &self.path))?,
        };
        self.hasher = self.file.checksum.hasher(self.file.size_bytes);
        self.done_bytes = 0;
        self.resumed = false;
        Ok(())
    }

    /// Compares the checksum and gives the bytes their name; a part that is wrong is removed.
    fn finish(&mut self, blob: &Path) -> Result<(), HubError> {
        let hasher = std::mem::replace(&mut self.hasher, self.file.checksum.hasher(self.file.size_bytes));
        let found = hasher.finish();
        if found != self.file.checksum.hex() {
            fs::remove_file(&self.path).map_err(HubError::io("remove", &self.path))?;
            return Err(self.mismatch(found));
        }
        // The name must not survive a power cut that the bytes do not survive.
        fs::File::open(&self.path)
            .and_then(|file| file.sync_all())
            .map_err(HubError::io("write", &self.path))?;
        fs::rename(&self.path, blob).map_err(HubError::io("rename", &self.path))
    }

    fn mismatch(&self, found: String) -> HubError {
        HubError::Checksum {
            file: self.file.name.clone(),
            expected: self.file.checksum.hex().into(),
            found,
        }
    }

    fn write_error(&self, error: io::Error) -> HubError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => HubError::DiskFull {
                file: self.file.name.clone(),
                path: self.path.parent().unwrap_or(&self.path).into(),
                written_bytes: self.done_bytes,
                total_bytes: self.file.size_bytes,
            },
            _ => HubError::io("write", &self.path)(error),
        }
    }
}

/// The error of an answer that trying again does not change.
pub(crate) fn refusal(failure: Failure, what: &str, host: &str) -> HubError {
    let (what, host) = (what.to_owned(), host.to_owned());
    match failure {
        Failure::Status {
            status: status @ (401 | 403),
            with_token,
        } => HubError::Refused {
            what,
            host,
            status,
            with_token,
        },
        Failure::Status {
            status: 404 | 410, ..
        } => HubError::NotFound { what, host },
        Failure::Status { status, .. } => HubError::Status { what, host, status },
        Failure::Redirect(reason) => HubError::BadRedirect { what, host, reason },
        Failure::Transient(reason) => HubError::Unreachable {
            what,
            host,
            reason,
            attempts: 1,
        },
        Failure::NoHost => HubError::Unreachable {
            what,
            host,
            reason: "the host name is not known".to_owned(),
            attempts: 1,
        },
    }
}
