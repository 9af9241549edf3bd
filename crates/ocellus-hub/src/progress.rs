//! Progress reports of a download.

/// Receives the course of a download. All methods have an empty default, so that a caller implements only what it shows.
pub trait Progress: Send + Sync {
    /// A file begins; `done_bytes` of its `total_bytes` are there already from an earlier attempt.
    fn start(&self, _file: &str, _done_bytes: u64, _total_bytes: u64) {}
    /// Bytes of the file that are on the disk now. May fall back to 0 when a file has to start again.
    fn advance(&self, _file: &str, _done_bytes: u64) {}
    /// The file is complete and its checksum is right.
    fn finish(&self, _file: &str) {}
    /// Something worth a line: a retry, a wait for another process.
    fn note(&self, _message: &str) {}
    /// Whether a model with this configuration file is wanted; asked before its weights are downloaded. A reason that it is not ends
    /// the download with [`HubError::Unsuitable`](crate::HubError::Unsuitable).
    fn accept(&self, _file: &str, _bytes: &[u8]) -> Result<(), String> {
        Ok(())
    }
    /// Polled between blocks; `true` ends the download with [`HubError::Cancelled`](crate::HubError::Cancelled).
    fn cancelled(&self) -> bool {
        false
    }
}

/// Shows nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
