//! What can go wrong between a model's name and a folder of its files.

use std::io;
use std::path::{Path, PathBuf};

/// Every failure of this crate. Messages are one sentence; the hint that follows is the caller's to give.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The text is not the name of a model.
    #[error("`{text}` does not name a model: {reason}")]
    BadReference { text: String, reason: String },
    /// A local folder or file that is not there.
    #[error("{path}: no such {kind}", path = path.display())]
    Missing { path: PathBuf, kind: &'static str },
    /// A local folder without the files of a checkpoint.
    #[error("{path}: not a model folder, expected {expected}", path = path.display())]
    NotACheckpoint { path: PathBuf, expected: &'static str },
    /// A folder that holds adapters in folders of their own.
    #[error("{path}: not a model folder, but it holds the adapters {found}", path = path.display())]
    AdaptersBelow { path: PathBuf, found: String },
    /// An adapter's config that is no JSON.
    #[error("{path}: expected the JSON of an adapter: {reason}", path = path.display())]
    AdapterConfig { path: PathBuf, reason: String },
    /// An adapter whose base is not found.
    #[error("{adapter}: the base of the adapter is not known: {reason}", adapter = adapter.display())]
    NoBase {
        adapter: PathBuf,
        /// As the adapter names it.
        base: String,
        reason: String,
    },
    /// An adapter whose base has an adapter of its own.
    #[error("{adapter}: its base {base} has an adapter as well, and one is applied", adapter = adapter.display())]
    TwoAdapters { adapter: PathBuf, base: String },
    /// A base was given for a model that is no adapter.
    #[error("{name} is no adapter, so it has no use for the base {base}")]
    NotAnAdapter { name: String, base: String },
    /// A language model in GGUF without the other file.
    #[error("{path}: its vision tower is missing, no other file beside it has `mmproj` in its name", path = path.display())]
    NoTower { path: PathBuf },
    /// A vision tower in GGUF without the other file.
    #[error("{path}: a vision tower alone, expected the file of the language model", path = path.display())]
    TowerAlone { path: PathBuf },
    /// A folder from which a language model in GGUF has to be chosen.
    #[error("{path}: several models: {found}", path = path.display())]
    SeveralModels { path: PathBuf, found: String },
    /// A language model in GGUF with more than one tower beside it.
    #[error("{path}: beside it lie several vision towers: {found}", path = path.display())]
    SeveralTowers { path: PathBuf, found: String },
    /// The endpoint given by the caller cannot be used.
    #[error("the hub address `{url}` cannot be used: {reason}")]
    BadEndpoint { url: String, reason: String },
    /// The proxy given by the caller cannot be used.
    #[error("the proxy address cannot be used: expected http://host:port")]
    BadProxy,
    /// 401 or 403.
    #[error("{host} refused access to {what} (HTTP {status}){}", if *with_token { " with the given token" } else { "" })]
    Refused {
        what: String,
        host: String,
        status: u16,
        with_token: bool,
    },
    /// 404 and 410.
    #[error("{host} has no {what}")]
    NotFound { what: String, host: String },
    /// Any other answer that is not a success.
    #[error("{host} answered HTTP {status} to the request for {what}")]
    Status { what: String, host: String, status: u16 },
    /// No answer, or one that broke off, after all attempts.
    #[error("{}", unreachable(what, host, reason, *attempts))]
    Unreachable {
        what: String,
        host: String,
        reason: String,
        attempts: usize,
    },
    /// A redirect that is not followed.
    #[error("{host} redirected {what} to an address that is not followed: {reason}")]
    BadRedirect {
        what: String,
        host: String,
        reason: String,
    },
    /// The hub's list of files is not what its interface promises.
    #[error("the file list of {repository} from {host} cannot be read: {reason}")]
    BadListing {
        repository: String,
        host: String,
        reason: String,
    },
    /// The hub listed a file name that would leave its folder or cannot be stored everywhere.
    #[error("{repository} lists the file name {name:?}, which is not safe to store; nothing was downloaded")]
    UnsafeName { repository: String, name: String },
    /// The caller refused the model by its configuration.
    #[error("{repository}: {reason}; its weights were not downloaded")]
    Unsuitable { repository: String, reason: String },
    /// The repository has no weights in a format that is read.
    #[error(
        "{repository} has no weights that are read: expected *.safetensors, pytorch_model.bin with or without shards, \
         or one other torch file; found {found}"
    )]
    NoWeights { repository: String, found: String },
    /// The downloaded bytes are not the bytes that the hub listed.
    #[error("{file}: the download is damaged, expected checksum {expected}, found {found}; it was discarded")]
    Checksum {
        file: String,
        expected: String,
        found: String,
    },
    /// Not enough room, found before the download started.
    #[error("{path}: {needed_bytes} bytes are needed, {spare_bytes} more stay free, and {available_bytes} are free; nothing was downloaded", path = path.display())]
    NoSpace {
        path: PathBuf,
        needed_bytes: u64,
        /// Kept free beside them.
        spare_bytes: u64,
        available_bytes: u64,
    },
    /// The disk filled up while writing. What was written stays for the next attempt to resume.
    #[error("the disk is full: {file} stopped at {written_bytes} of {total_bytes} bytes in {path}", path = path.display())]
    DiskFull {
        file: String,
        path: PathBuf,
        written_bytes: u64,
        total_bytes: u64,
    },
    /// Files are missing and the network must not be used.
    #[error("{what} is not complete in the cache and offline mode is on; missing: {}", missing.join(", "))]
    Offline { what: String, missing: Vec<String> },
    /// Another process holds the lock of a file for longer than the caller wants to wait.
    #[error("another process is downloading the same file and did not finish: {path}", path = path.display())]
    Locked { path: PathBuf },
    /// The caller asked to stop. What was written stays for the next attempt to resume.
    #[error("the download was interrupted")]
    Cancelled,
    /// Asked to remove what is not in the cache.
    #[error("{what} is not in the cache")]
    NotCached { what: String },
    /// The file system refused.
    #[error("{path}: cannot {action}: {source}", path = path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl HubError {
    /// For `map_err`: says what was tried on which path.
    pub(crate) fn io<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> Self + use<'p> {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

/// A server that answers, though not with what was asked for, was reached.
fn unreachable(what: &str, host: &str, reason: &str, attempts: usize) -> String {
    let times = match attempts {
        1 => String::new(),
        times => format!(" (gave up after {times} attempts)"),
    };
    match reason.starts_with("HTTP ") {
        true => format!("{host} answered {reason} to the request for {what}{times}"),
        false => format!("{host} could not be reached for {what}: {reason}{times}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_was_reached() {
        let told = |reason: &str, attempts| unreachable("x", "host", reason, attempts);
        assert_eq!(
            told("HTTP 429", 3),
            "host answered HTTP 429 to the request for x (gave up after 3 attempts)"
        );
        assert_eq!(
            told("no answer in time", 1),
            "host could not be reached for x: no answer in time"
        );
    }
}
