//! A repository to pull from, a cache to pull into, and a progress that records its calls.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use super::server::{Reply, Request, Server};
use crate::checksum::Checksum;
use crate::{Hub, HubConfig, Progress, Reference, Source, Timeouts};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub const ID: &str = "org/model";

/// Name, bytes, whether the hub stores it as a large file (SHA-256).
pub type File = (&'static str, Vec<u8>, bool);

/// A small complete repository with files that are not wanted as well.
pub fn files() -> Vec<File> {
    vec![
        ("config.json", b"{\"model_type\": \"tiny\"}".to_vec(), false),
        ("tokenizer.json", b"{}".to_vec(), false),
        ("model.safetensors", weights(), true),
        ("README.md", b"# not read".to_vec(), false),
        ("onnx/model.safetensors", b"not read".to_vec(), true),
    ]
}

/// Longer than one block of a download.
pub fn weights() -> Vec<u8> {
    (0..700_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    digest(Checksum::Sha256(String::new()), bytes)
}

pub fn git_sha1(bytes: &[u8]) -> String {
    digest(Checksum::GitSha1(String::new()), bytes)
}

fn digest(kind: Checksum, bytes: &[u8]) -> String {
    let mut hasher = kind.hasher(bytes.len() as u64);
    hasher.update(bytes);
    hasher.finish()
}

/// The hub's answer to "which files".
pub fn listing(files: &[File]) -> String {
    let siblings: Vec<serde_json::Value> = files
        .iter()
        .map(|(name, bytes, large)| {
            let mut sibling = serde_json::json!({
                "rfilename": name, "size": bytes.len(), "blobId": git_sha1(bytes),
            });
            if *large {
                sibling["lfs"] =
                    serde_json::json!({"sha256": sha256(bytes), "size": bytes.len(), "pointerSize": 130});
            }
            sibling
        })
        .collect();
    serde_json::json!({"id": ID, "sha": COMMIT, "siblings": siblings}).to_string()
}

/// What a hub in good order answers.
pub fn answer(files: &[File], request: &Request) -> Reply {
    let path = request.target.split('?').next().unwrap_or_default();
    if path == format!("/api/models/{ID}/revision/main") {
        return Reply::body(listing(files));
    }
    let file = path.strip_prefix(&format!("/{ID}/resolve/{COMMIT}/"));
    match files.iter().find(|(name, ..)| Some(*name) == file) {
        Some((_, bytes, _)) => Reply::file(request, bytes),
        None => Reply::status(404),
    }
}

/// A server in good order, but for what `change` answers instead; it is given the number of the request.
pub fn server(change: impl Fn(usize, &Request) -> Option<Reply> + Send + 'static) -> Server {
    let count = Mutex::new(0);
    let files = files();
    Server::start(move |request| {
        let mut count = count.lock().expect("no panic in the server");
        *count += 1;
        change(*count, request).unwrap_or_else(|| answer(&files, request))
    })
}

/// A cache folder that goes away with this.
pub struct Setting {
    _folder: tempfile::TempDir,
    pub config: HubConfig,
}

impl Setting {
    pub fn new(endpoint: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = HubConfig::new(Source::HuggingFace, folder.path().join("hub"));
        config.endpoint = endpoint.into();
        config.retry_delays = vec![Duration::ZERO; 2];
        config.lock_wait = Duration::ZERO;
        // Long enough for a busy machine; only the test of silence waits for it.
        config.timeouts = Timeouts {
            connect: Duration::from_secs(20),
            response: Duration::from_secs(20),
            idle: Duration::from_secs(20),
        };
        Self {
            _folder: folder,
            config,
        }
    }

    pub fn hub(&self) -> Hub {
        Hub::new(self.config.clone())
    }

    pub fn repository(&self) -> PathBuf {
        self.config.cache_dir.join("models--org--model")
    }

    pub fn snapshot(&self) -> PathBuf {
        self.repository().join("snapshots").join(COMMIT)
    }

    pub fn incomplete(&self) -> PathBuf {
        self.repository()
            .join("blobs")
            .join(format!("{}.incomplete", sha256(&weights())))
    }

    /// Writes the first bytes of the weights as an earlier attempt would have left them.
    pub fn left_over(&self, bytes: &[u8]) {
        let path = self.incomplete();
        std::fs::create_dir_all(path.parent().expect("blobs")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
}

pub fn reference(text: &str) -> Reference {
    Reference::parse(text).expect("a good name")
}

/// Records its calls; asks to stop after `stop_at` bytes of the weights.
#[derive(Default)]
pub struct Seen {
    pub lines: Mutex<Vec<String>>,
    pub stop_at: Option<u64>,
    pub done: Mutex<u64>,
}

impl Seen {
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no panic").clone()
    }

    fn push(&self, line: String) {
        self.lines.lock().expect("no panic").push(line);
    }
}

impl Progress for Seen {
    fn start(&self, file: &str, done_bytes: u64, total_bytes: u64) {
        self.push(format!("start {file} {done_bytes}/{total_bytes}"));
    }

    fn advance(&self, file: &str, done_bytes: u64) {
        *self.done.lock().expect("no panic") = if file.ends_with("safetensors") {
            done_bytes
        } else {
            0
        };
    }

    fn finish(&self, file: &str) {
        self.push(format!("finish {file}"));
    }

    fn note(&self, message: &str) {
        self.push(format!("note {message}"));
    }

    fn cancelled(&self) -> bool {
        self.stop_at
            .is_some_and(|bytes| *self.done.lock().expect("no panic") >= bytes)
    }
}
