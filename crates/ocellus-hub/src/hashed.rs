//! The cache of the library before the middle of 2022: one folder in which a file has the hash of its address as its name, and a
//! `.json` beside it says the address.
//!
//! ```text
//! <sha256 of the address>.<sha256 of the tag>        the bytes
//! <sha256 of the address>.<sha256 of the tag>.json   {"url": "https://…/org/name/resolve/main/config.json", "etag": "…"}
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use crate::selection::is_safe_name;
use crate::{HubError, RepositoryId};

/// Descriptions that are looked through at most, and the bytes of one.
const MOST: usize = 100_000;
const DESCRIPTION_BYTES: u64 = 64 << 10;

#[derive(Deserialize)]
struct Description {
    url: String,
}

/// The files of a revision in such a cache: names in the repository, and paths.
pub(crate) fn files(cache: &Path, id: &RepositoryId, revision: &str) -> BTreeMap<String, PathBuf> {
    let place = format!("/{id}/resolve/{revision}/");
    let mut found: BTreeMap<String, (SystemTime, PathBuf)> = BTreeMap::new();
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    for path in entries.take(MOST).map(|entry| entry.path()) {
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let described = ocellus_base::files::read(&path, DESCRIPTION_BYTES).ok();
        let described = described.and_then(|bytes| serde_json::from_slice::<Description>(&bytes).ok());
        let Some((_, name)) = described.as_ref().and_then(|d| d.url.split_once(&place)) else {
            continue;
        };
        let bytes = path.with_extension("");
        let Ok(metadata) = fs::metadata(&bytes) else {
            continue;
        };
        if !metadata.is_file() || !is_safe_name(name) || name.contains('/') {
            continue;
        }
        // A file that changed at its publisher is there more than once.
        let time = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        if found.get(name).is_none_or(|(before, _)| *before < time) {
            found.insert(name.to_owned(), (time, bytes));
        }
    }
    found.into_iter().map(|(name, (_, path))| (name, path)).collect()
}

/// A folder of links to these files under their names, made in `into`.
///
/// # Errors
/// A folder that cannot be written.
pub(crate) fn linked(files: &BTreeMap<String, PathBuf>, into: &Path) -> Result<(), HubError> {
    fs::create_dir_all(into).map_err(HubError::io("create the folder", into))?;
    for (name, path) in files {
        let link = into.join(name);
        if fs::canonicalize(&link).is_ok_and(|to| fs::canonicalize(path).is_ok_and(|path| to == path)) {
            continue;
        }
        let path = fs::canonicalize(path).map_err(HubError::io("read", path))?;
        crate::cache::put_link(&path, &link, &path).map_err(HubError::io("link", &link))?;
    }
    Ok(())
}
