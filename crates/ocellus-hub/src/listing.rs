//! A hub's listing of a repository at a revision: one commit and its files with sizes and checksums.
//!
//! Hugging Face: `GET /api/models/{id}/revision/{revision}?blobs=true`, files from `/{id}/resolve/{commit}/{path}`.
//! ModelScope: `GET /api/v1/models/{id}/repo/files?Revision=..`, files from
//! `/api/v1/models/{id}/repo?Revision=..&FilePath=..`. Its listing names no commit, so the snapshot is named by a hash
//! over the names and checksums of its files: the same files, the same name.

use ocellus_base::limits::{JSON_BYTES, LISTED_FILES};
use serde::Deserialize;

use crate::checksum::{Checksum, sha1_of};
use crate::reference::{RepositoryId, is_hex};
use crate::selection::is_safe_name;
use crate::{HubError, Source};

/// The answer of a hub, checked: every name may be stored, every checksum and the commit may be file names.
#[derive(Debug)]
pub(crate) struct Listing {
    /// 40 hexadecimal digits.
    pub commit: String,
    pub files: Vec<RemoteFile>,
}

#[derive(Debug, Clone)]
pub(crate) struct RemoteFile {
    pub name: String,
    pub size_bytes: u64,
    pub checksum: Checksum,
}

#[derive(Deserialize)]
struct HuggingFaceAnswer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ModelScopeAnswer {
    data: ModelScopeData,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ModelScopeData {
    files: Vec<ModelScopeFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ModelScopeFile {
    path: String,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    size: u64,
    sha256: Option<String>,
}

/// The address of the list of files.
pub(crate) fn list_url(source: Source, endpoint: &str, id: &RepositoryId, revision: &str) -> String {
    match source {
        Source::HuggingFace => format!(
            "{endpoint}/api/models/{id}/revision/{}?blobs=true",
            encode(revision)
        ),
        Source::ModelScope => {
            // Not recursive: nothing below the top is read, and long recursive lists come back cut.
            format!(
                "{endpoint}/api/v1/models/{id}/repo/files?Revision={}&Recursive=False",
                encode(revision)
            )
        }
    }
}

/// The address of one file.
pub(crate) fn file_url(
    source: Source,
    endpoint: &str,
    id: &RepositoryId,
    revision: &str,
    commit: &str,
    name: &str,
) -> String {
    match source {
        Source::HuggingFace => {
            let path: Vec<String> = name.split('/').map(encode).collect();
            format!("{endpoint}/{id}/resolve/{commit}/{}", path.join("/"))
        }
        Source::ModelScope => format!(
            "{endpoint}/api/v1/models/{id}/repo?Revision={}&FilePath={}",
            encode(revision),
            encode(name)
        ),
    }
}

/// Reads and checks a hub's answer.
pub(crate) fn parse(
    source: Source,
    host: &str,
    id: &RepositoryId,
    bytes: &[u8],
) -> Result<Listing, HubError> {
    let bad = |reason: String| HubError::BadListing {
        repository: id.to_string(),
        host: host.into(),
        reason,
    };
    if bytes.len() as u64 > JSON_BYTES {
        return Err(bad(format!("it is longer than {JSON_BYTES} bytes")));
    }
    let json = |error: serde_json::Error| bad(format!("not the expected JSON ({error})"));
    let no_checksum = |name: &str| bad(format!("{name} has no size or no checksum"));
    let unsafe_name = |name: &str| HubError::UnsafeName {
        repository: id.to_string(),
        name: name.into(),
    };
    let mut files = Vec::new();
    let commit = match source {
        Source::HuggingFace => {
            let answer: HuggingFaceAnswer = serde_json::from_slice(bytes).map_err(json)?;
            for file in answer.siblings {
                let name = file.rfilename;
                if !is_safe_name(&name) {
                    return Err(unsafe_name(&name));
                }
                let large = file
                    .lfs
                    .and_then(|lfs| Some((lfs.size, Checksum::sha256(&lfs.sha256)?)));
                let small = || Some((file.size?, Checksum::git_sha1(file.blob_id.as_deref()?)?));
                let (size_bytes, checksum) = large.or_else(small).ok_or_else(|| no_checksum(&name))?;
                files.push(RemoteFile {
                    name,
                    size_bytes,
                    checksum,
                });
            }
            answer.sha
        }
        Source::ModelScope => {
            let answer: ModelScopeAnswer = serde_json::from_slice(bytes).map_err(json)?;
            let mut contents = Vec::new();
            for file in answer.data.files.into_iter().filter(|file| file.kind == "blob") {
                let name = file.path;
                if !is_safe_name(&name) {
                    return Err(unsafe_name(&name));
                }
                let checksum = file
                    .sha256
                    .as_deref()
                    .and_then(Checksum::sha256)
                    .ok_or_else(|| no_checksum(&name))?;
                contents.push(format!("{name} {}\n", checksum.hex()));
                files.push(RemoteFile {
                    name,
                    size_bytes: file.size,
                    checksum,
                });
            }
            contents.sort();
            sha1_of(&contents.concat())
        }
    };
    if files.len() > LISTED_FILES {
        let count = files.len();
        return Err(bad(format!(
            "it names {count} files, at most {LISTED_FILES} are allowed"
        )));
    }
    if !is_hex(&commit, 40) {
        return Err(bad("it names no commit of 40 hexadecimal digits".into()));
    }
    Ok(Listing { commit, files })
}

/// Percent-encodes everything but the characters that never have a meaning in a URL.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
