//! What the cache holds, and removing it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ocellus_base::files;
use ocellus_base::limits::REFERENCE_BYTES;

use crate::cache::Repository;
use crate::reference::{RepositoryId, Revision, is_hex};
use crate::selection::missing;
use crate::{HubError, Source};

/// A repository in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    pub id: RepositoryId,
    pub source: Source,
    /// The repository's folder.
    pub path: PathBuf,
    /// Size of all its blobs, finished or not.
    pub size_bytes: u64,
    /// Size of downloads that were not finished.
    pub incomplete_bytes: u64,
    pub snapshots: Vec<CachedSnapshot>,
}

/// One commit of a cached repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedSnapshot {
    pub commit: String,
    /// Branches and tags that stand for it.
    pub names: Vec<String>,
    pub path: PathBuf,
    /// Files that a checkpoint needs and that are not there; empty when it can be used.
    pub missing: Vec<String>,
}

/// All repositories below a cache folder, by name; a folder that does not exist holds none.
pub(crate) fn list(cache: &Path, source: Source) -> Result<Vec<Cached>, HubError> {
    let mut found = Vec::new();
    for entry in entries(cache)? {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(RepositoryId::from_folder) else {
            continue;
        };
        let repository = Repository::new(cache, &id);
        let mut names = Vec::new();
        references(&repository.refs(), "", &mut names)?;
        let mut snapshots = Vec::new();
        for snapshot in entries(&repository.snapshots())? {
            let Ok(commit) = snapshot.file_name().into_string() else {
                continue;
            };
            if !is_hex(&commit, 40) {
                continue;
            }
            let names = names
                .iter()
                .filter(|(_, c)| *c == commit)
                .map(|(name, _)| name.clone())
                .collect();
            snapshots.push(CachedSnapshot {
                names,
                missing: missing(&snapshot.path()),
                path: snapshot.path(),
                commit,
            });
        }
        snapshots.sort_by(|a, b| a.commit.cmp(&b.commit));
        let (mut size_bytes, mut incomplete_bytes) = (0, 0);
        for blob in entries(&repository.blobs())? {
            let bytes = blob.metadata().map_or(0, |m| m.len());
            size_bytes += bytes;
            if blob.path().extension().is_some_and(|e| e == "incomplete") {
                incomplete_bytes += bytes;
            }
        }
        found.push(Cached {
            id,
            source,
            path: repository.root,
            size_bytes,
            incomplete_bytes,
            snapshots,
        });
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

/// Removes a repository, or one revision of it with the blobs that no other revision uses. Returns the bytes freed.
pub(crate) fn remove(cache: &Path, id: &RepositoryId, revision: Option<&Revision>) -> Result<u64, HubError> {
    let repository = Repository::new(cache, id);
    let what = revision.map_or_else(|| id.to_string(), |revision| format!("{id}@{revision}"));
    let not_cached = || HubError::NotCached { what: what.clone() };
    if !repository.root.is_dir() {
        return Err(not_cached());
    }
    let before = size(&repository)?;
    let Some(revision) = revision else {
        remove_folder(&repository.root)?;
        remove_folder(&repository.locks)?;
        return Ok(before);
    };
    let commit = repository.commit(revision).ok_or_else(not_cached)?;
    let snapshot = repository.snapshot(&commit);
    if !snapshot.is_dir() {
        return Err(not_cached());
    }
    let mut names = Vec::new();
    references(&repository.refs(), "", &mut names)?;
    for (name, _) in names.iter().filter(|(_, c)| *c == commit) {
        let path = repository.refs().join(name);
        fs::remove_file(&path).map_err(HubError::io("remove", &path))?;
    }
    remove_folder(&snapshot)?;
    let mut used = BTreeSet::new();
    blobs_in_use(&repository.snapshots(), &mut used)?;
    for blob in entries(&repository.blobs())? {
        if !used.contains(&blob.file_name()) {
            fs::remove_file(blob.path()).map_err(HubError::io("remove", &blob.path()))?;
        }
    }
    if entries(&repository.snapshots())?.is_empty() {
        remove_folder(&repository.root)?;
        remove_folder(&repository.locks)?;
        return Ok(before);
    }
    Ok(before.saturating_sub(size(&repository)?))
}

fn size(repository: &Repository) -> Result<u64, HubError> {
    Ok(entries(&repository.blobs())?
        .iter()
        .map(|blob| blob.metadata().map_or(0, |m| m.len()))
        .sum())
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, HubError> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .collect::<Result<_, _>>()
            .map_err(HubError::io("list", folder)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(HubError::io("list", folder)(error)),
    }
}

/// Branch and tag names below `folder` with the commits they stand for; a name may contain `/`.
fn references(folder: &Path, prefix: &str, names: &mut Vec<(String, String)>) -> Result<(), HubError> {
    for entry in entries(folder)? {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let name = format!("{prefix}{name}");
        // Links are not followed: the layout has none here.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && name.len() < 200 => {
                references(&entry.path(), &format!("{name}/"), names)?
            }
            // What a process that was killed left half-way is no reference.
            Ok(kind) if kind.is_file() && !name.ends_with(".tmp") && !name.ends_with(".part") => {
                let commit = files::read_text(&entry.path(), REFERENCE_BYTES).unwrap_or_default();
                names.push((name, commit.trim().to_owned()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn blobs_in_use(folder: &Path, used: &mut BTreeSet<std::ffi::OsString>) -> Result<(), HubError> {
    for entry in entries(folder)? {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => blobs_in_use(&path, used)?,
            Ok(kind) if kind.is_symlink() => {
                used.extend(
                    fs::read_link(&path)
                        .ok()
                        .and_then(|target| Some(target.file_name()?.to_owned())),
                );
            }
            _ => {}
        }
    }
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<(), HubError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(HubError::io("remove", folder)(error))
        }
        _ => Ok(()),
    }
}
