//! The cache's layout, the one of the hub's Python client, so that each program finds what the other downloaded:
//!
//! ```text
//! models--org--name/blobs/<checksum>              the bytes
//! models--org--name/refs/<revision>               the commit that a branch or tag stood for
//! models--org--name/snapshots/<commit>/<file>     a relative link to ../../blobs/<checksum>
//! .locks/models--org--name/<checksum>.lock
//! ```

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ocellus_base::limits::REFERENCE_BYTES;
use ocellus_base::{Unfinished, files};

use crate::HubError;
use crate::reference::{RepositoryId, Revision, is_hex};

/// The paths of one repository in a cache folder.
#[derive(Debug)]
pub(crate) struct Repository {
    pub root: PathBuf,
    pub locks: PathBuf,
}

impl Repository {
    pub fn new(cache: &Path, id: &RepositoryId) -> Self {
        Self {
            root: cache.join(id.folder()),
            locks: cache.join(".locks").join(id.folder()),
        }
    }

    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub fn refs(&self) -> PathBuf {
        self.root.join("refs")
    }

    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.snapshots().join(commit)
    }

    /// The commit that a revision stands for in this cache, if it is known.
    pub fn commit(&self, revision: &Revision) -> Option<String> {
        if revision.is_commit() {
            return Some(revision.as_str().to_owned());
        }
        let commit = files::read_text(&self.refs().join(revision.as_str()), REFERENCE_BYTES).ok()?;
        let commit = commit.trim();
        is_hex(commit, 40).then(|| commit.to_owned())
    }

    /// The snapshot that this folder of a cache stands for without a revision: that of the usual branch, else the only one.
    pub fn usual(root: &Path) -> Option<(PathBuf, String)> {
        let repository = Self {
            root: root.into(),
            locks: PathBuf::new(),
        };
        let branches = ["main", "master"].into_iter();
        let commit = branches
            .filter_map(|branch| repository.commit(&Revision::parse(branch).ok()?))
            .next();
        let commit = commit.or_else(|| {
            let mut all = fs::read_dir(repository.snapshots()).ok()?.flatten();
            let only = all.next()?.file_name().into_string().ok()?;
            all.next().is_none().then_some(only)
        })?;
        let folder = repository.snapshot(&commit);
        folder.is_dir().then_some((folder, commit))
    }

    /// Stores the commit of a branch or tag. Written last: a reference means that its snapshot is complete.
    pub fn remember(&self, revision: &Revision, commit: &str) -> Result<(), HubError> {
        if revision.as_str() == commit {
            return Ok(());
        }
        let path = self.refs().join(revision.as_str());
        create_parent(&path)?;
        (|| {
            let (unfinished, mut file) = Unfinished::file(&path)?;
            file.write_all(commit.as_bytes())?;
            unfinished.finish()
        })()
        .map_err(HubError::io("write", &path))
    }

    /// Makes `snapshots/<commit>/<name>` lead to the blob.
    pub fn link(&self, commit: &str, name: &str, blob: &str) -> Result<(), HubError> {
        let pointer = self.snapshot(commit).join(name);
        let mut target: PathBuf = (0..name.split('/').count() + 1).map(|_| "..").collect();
        target.push("blobs");
        target.push(blob);
        if fs::read_link(&pointer).is_ok_and(|found| found == target) {
            return Ok(());
        }
        create_parent(&pointer)?;
        let blob = self.blobs().join(blob);
        put_link(&target, &pointer, &blob).map_err(HubError::io("link", &pointer))
    }
}

/// Makes `link` lead to `target`, which is the file `blob` as it is written from there, in the place of what is there.
pub(crate) fn put_link(target: &Path, link: &Path, blob: &Path) -> std::io::Result<()> {
    Unfinished::with(link, |link| symlink(target, link, blob)).and_then(|(link, ())| link.finish())
}

pub(crate) fn create_parent(path: &Path) -> Result<(), HubError> {
    match path.parent() {
        Some(folder) => fs::create_dir_all(folder).map_err(HubError::io("create the folder", folder)),
        None => Ok(()),
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path, _blob: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Where links need a right that users do not have, a hard link or a copy does the same for readers.
#[cfg(not(unix))]
fn symlink(_target: &Path, link: &Path, blob: &Path) -> std::io::Result<()> {
    fs::hard_link(blob, link).or_else(|_| fs::copy(blob, link).map(|_| ()))
}
