//! Files and folders that appear whole or not at all.
//!
//! What is not finished stands beside its place under a name that nobody can know before, so that nothing that was put there earlier, such
//! as a link, is written through. It is removed when it is given up, and when the program is ended by a signal that it handles; only a
//! process that is killed leaves it, for [`remove_left`].

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const START: &str = ".ocellus-";
const END: &str = ".part";
/// Names that are tried; even two with the same name are not to be expected.
const TRIES: usize = 16;

/// All that this process has not finished.
static ALL: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Something that is being written for a place, and is removed unless it is finished.
#[derive(Debug)]
pub struct Unfinished {
    path: PathBuf,
    place: PathBuf,
}

impl Unfinished {
    /// Makes a new file for `place`.
    ///
    /// # Errors
    /// A folder in which nothing can be made.
    pub fn file(place: &Path) -> Result<(Self, File)> {
        Self::with(place, |path| File::create_new(path))
    }

    /// Makes a new folder for `place`.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn folder(place: &Path) -> Result<Self> {
        Ok(Self::with(place, |path| fs::create_dir(path))?.0)
    }

    /// Makes something for `place` by `make`, which fails with [`ErrorKind::AlreadyExists`] where something stands already.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn with<T>(place: &Path, make: impl Fn(&Path) -> Result<T>) -> Result<(Self, T)> {
        let folder = match place.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut all = all();
        for tried in 0..TRIES {
            // The standard library seeds its hashers from the operating system.
            let name = RandomState::new().hash_one(tried);
            let path = folder.join(format!("{START}{name:016x}{END}"));
            match make(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(made) => {
                    all.insert(path.clone());
                    let place = place.to_owned();
                    return Ok((Self { path, place }, made));
                }
            }
        }
        Err(Error::new(
            ErrorKind::AlreadyExists,
            "no name is free for a temporary file",
        ))
    }

    /// Where it stands until it is finished.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves it to its place. A file or a link there is replaced, a folder only where it is empty.
    ///
    /// # Errors
    /// A place where it cannot be moved; it is removed then.
    pub fn finish(self) -> Result<()> {
        let mut all = all();
        fs::rename(&self.path, &self.place)?;
        all.remove(&self.path);
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut all = all();
        if all.remove(&self.path) {
            remove(&self.path);
        }
    }
}

/// Removes all that this process has not finished; for a process that ends here and now: nothing can be begun or finished afterwards.
pub fn remove_all() {
    let all = all();
    for path in &*all {
        // Other threads may still be writing into a folder.
        for _ in 0..TRIES {
            if remove(path) {
                break;
            }
        }
    }
    std::mem::forget(all);
}

/// Removes what killed processes have left in `folder`; for who knows that no other process writes there.
///
/// # Errors
/// A folder that cannot be read.
pub fn remove_left(folder: &Path) -> Result<()> {
    let all = all();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(is_name);
        if is_ours && !all.contains(&entry.path()) {
            remove(&entry.path());
        }
    }
    Ok(())
}

/// Whether a file's name is one of something that is not finished.
pub fn is_name(name: &str) -> bool {
    name.strip_prefix(START)
        .and_then(|rest| rest.strip_suffix(END))
        .is_some_and(|middle| middle.len() == 16 && middle.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether nothing is there any more.
fn remove(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).is_ok(),
        Ok(_) => fs::remove_file(path).is_ok(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

fn all() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn empty(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ocellus-base-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_finished_is_there_whole_and_what_is_given_up_leaves_nothing() {
        let folder = empty("unfinished");
        let place = folder.join("out");
        fs::write(&place, "old").unwrap();
        let (given_up, mut file) = Unfinished::file(&place).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!(names(&folder).len(), 2);
        drop(given_up);
        assert_eq!(names(&folder), ["out"]);
        assert_eq!(fs::read(&place).unwrap(), b"old");

        let (whole, mut file) = Unfinished::file(&place).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"old");
        whole.finish().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"new");

        let inner = Unfinished::folder(&folder.join("model")).unwrap();
        fs::write(inner.path().join("a"), "a").unwrap();
        inner.finish().unwrap();
        let inner = Unfinished::folder(&folder.join("other")).unwrap();
        fs::write(inner.path().join("a"), "a").unwrap();
        drop(inner);
        // A place that cannot be had.
        let (lost, _) = Unfinished::file(&folder.join("model")).unwrap();
        assert!(lost.finish().is_err());
        assert_eq!(names(&folder), ["model", "out"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn names_cannot_be_known_and_what_others_left_is_removed() {
        let folder = empty("left");
        let place = folder.join("out");
        let (a, _) = Unfinished::file(&place).unwrap();
        let (b, _) = Unfinished::file(&place).unwrap();
        assert_ne!(a.path(), b.path());
        let killed = folder.join(".ocellus-00112233445566ff.part");
        let foreign = folder.join(".ocellus-mine.part");
        fs::create_dir(&killed).unwrap();
        fs::write(killed.join("half"), "").unwrap();
        fs::write(&foreign, "").unwrap();
        remove_left(&folder).unwrap();
        assert!(!killed.exists() && foreign.exists());
        assert!(a.path().exists() && b.path().exists());
        a.finish().unwrap();
        drop(b);
        fs::remove_dir_all(folder).unwrap();
    }
}
