//! Where ModelScope's own client keeps what it downloaded: folders by name, in which `.` is written `___`.

use std::path::{Path, PathBuf};

use crate::RepositoryId;

/// Folders below the client's cache that versions of it have put models into.
const BELOW: &[&str] = &["hub/models", "models", "hub", ""];

/// Where the client's cache may hold a repository, newest layout first.
pub(crate) fn folders(cache: &Path, id: &RepositoryId) -> Vec<PathBuf> {
    let id = id.to_string();
    let (organisation, name) = id.split_once('/').unwrap_or((&id, ""));
    let at = |below: &&str| {
        let place = cache.join(below).join(organisation);
        [place.join(name.replace('.', "___")), place.join(name)]
    };
    BELOW.iter().flat_map(at).collect()
}
