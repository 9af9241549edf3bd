//! Where a result is written: standard output, a regular file, which appears whole or not at all, or what is neither and is never
//! replaced, such as a device or a pipe with a name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use ocellus_base::Unfinished;

use crate::error::Failure;
use crate::output;

/// Links that are followed before a path counts as going round in circles.
const LINKS: usize = 40;

/// Names of standard output beside `-`.
const STANDARD_OUTPUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// What a path means as a place to write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    StandardOutput,
    /// A regular file, there or not yet, with links followed.
    File(PathBuf),
    /// A device, a pipe with a name, an open file of this process: written to as it is.
    Stream(PathBuf),
}

impl Destination {
    /// Looks where `path` leads, without writing.
    ///
    /// # Errors
    /// A folder, and a path whose folder does not exist.
    pub fn of(path: &Path) -> Result<Self, Failure> {
        if is_standard_output(path) {
            return Ok(Self::StandardOutput);
        }
        let mut at = path.to_owned();
        for _ in 0..LINKS {
            if is_standard_output(&at) {
                return Ok(Self::StandardOutput);
            }
            let Ok(link) = fs::read_link(&at) else {
                return Self::without_links(path, at);
            };
            // Links of open files lead to names that are not always paths.
            if at.starts_with("/proc") || at.starts_with("/dev") {
                return Ok(Self::Stream(at));
            }
            at = folder_of(&at).join(link);
        }
        Err(Failure::new(format!(
            "{}: cannot write: its links lead round in a circle",
            path.display()
        ))
        .hint("name another file"))
    }

    fn without_links(path: &Path, at: PathBuf) -> Result<Self, Failure> {
        match fs::metadata(&at) {
            Ok(found) if found.is_dir() => Err(Failure::io("write", path, &ErrorKind::IsADirectory.into())),
            Ok(found) if !found.is_file() => Ok(Self::Stream(at)),
            Ok(_) => Ok(Self::File(at)),
            Err(_) if at.file_name().is_none() => {
                Err(Failure::io("write", path, &ErrorKind::IsADirectory.into()))
            }
            Err(_) => match folder_of(&at) {
                folder if folder.is_dir() => Ok(Self::File(at)),
                folder => Err(Failure::new(format!(
                    "{}: cannot write: the folder {} does not exist",
                    path.display(),
                    folder.display()
                ))
                .hint("make the folder first, as in: mkdir -p FOLDER")),
            },
        }
    }

    /// Whether writing here would change the file at `input`.
    pub fn is_same_file(&self, input: &Path) -> bool {
        match self {
            Self::File(path) => same_file::is_same_file(path, input).unwrap_or(false),
            Self::StandardOutput | Self::Stream(_) => false,
        }
    }

    /// Begins to write.
    ///
    /// # Errors
    /// A place where nothing can be written.
    pub fn open(&self) -> Result<Writing, Failure> {
        let to = match self {
            Self::StandardOutput => To::StandardOutput,
            Self::Stream(path) => To::Open(path.clone(), opened(path)?),
            Self::File(path) => match part_of(path) {
                Ok((part, file)) => To::Part(path.clone(), part, BufWriter::new(file)),
                // A file that may be written stands in a folder that may not: it is the only way.
                Err(error) if error.kind() == ErrorKind::PermissionDenied && path.is_file() => {
                    let file = OpenOptions::new().write(true).truncate(true).open(path);
                    To::Open(path.clone(), file.map_err(|e| Failure::io("write", path, &e))?)
                }
                Err(error) => return Err(Failure::io("write", path, &error)),
            },
        };
        Ok(Writing(to))
    }

    /// Writes everything at once.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`Writing::write`].
    pub fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut writing = self.open()?;
        writing.write(bytes)?;
        writing.finish()
    }
}

/// A result that is being written.
pub struct Writing(To);

enum To {
    StandardOutput,
    Open(PathBuf, File),
    /// Becomes the file when it is complete; is removed when it is dropped before.
    Part(PathBuf, Unfinished, BufWriter<File>),
}

impl Writing {
    /// Adds to the result. What is no regular file gets it at once.
    ///
    /// # Errors
    /// A full disk, a closed pipe.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.0 {
            To::StandardOutput => output::write_bytes(bytes),
            To::Open(path, file) => file.write_all(bytes).map_err(|e| failed(path, &e)),
            To::Part(path, _, file) => file.write_all(bytes).map_err(|e| failed(path, &e)),
        }
    }

    /// Ends the result; a regular file is there from now on.
    ///
    /// # Errors
    /// A full disk.
    pub fn finish(self) -> Result<(), Failure> {
        let To::Part(path, part, mut file) = self.0 else {
            return Ok(());
        };
        file.flush()
            .and_then(|()| part.finish())
            .map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::nobody_listens(),
        _ => Failure::io("write", path, error),
    }
}

/// A file for `path` with the rights of the file that it replaces.
fn part_of(path: &Path) -> io::Result<(Unfinished, File)> {
    let before = fs::metadata(path).ok().map(|found| found.permissions());
    if before.as_ref().is_some_and(fs::Permissions::readonly) {
        return Err(ErrorKind::PermissionDenied.into());
    }
    let (part, file) = Unfinished::file(path)?;
    if let Some(rights) = before {
        file.set_permissions(rights)?;
    }
    Ok((part, file))
}

fn opened(path: &Path) -> Result<File, Failure> {
    // What stands in an open file already stays.
    let file = OpenOptions::new().append(true).open(path);
    file.map_err(|error| Failure::io("write", path, &error))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn is_standard_output(path: &Path) -> bool {
    STANDARD_OUTPUT.iter().any(|name| Path::new(name) == path)
}

/// Fails unless something can be written at `path`.
pub fn place(path: &Path) -> Result<(), Failure> {
    Destination::of(path).map(drop)
}

/// Writes to a path: a regular file whole or not at all, what is none as it is.
pub fn file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    Destination::of(path)?.write(bytes)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_paths_mean() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "old").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("link", at("chain")).unwrap();
        symlink("new", at("dangling")).unwrap();
        symlink("/dev/null", at("device")).unwrap();
        symlink("circle", at("circle")).unwrap();
        for name in STANDARD_OUTPUT {
            assert_eq!(
                Destination::of(Path::new(name)).unwrap(),
                Destination::StandardOutput
            );
        }
        for (name, leads_to) in [
            ("file", "file"),
            ("link", "file"),
            ("chain", "file"),
            ("dangling", "new"),
            ("other", "other"),
        ] {
            assert_eq!(
                Destination::of(&at(name)).unwrap(),
                Destination::File(at(leads_to))
            );
        }
        let null = Destination::Stream("/dev/null".into());
        assert_eq!(Destination::of(Path::new("/dev/null")).unwrap(), null);
        assert_eq!(Destination::of(&at("device")).unwrap(), null);
        for bad in ["circle", "", "nowhere/out", "file/out"] {
            assert!(Destination::of(&at(bad)).is_err(), "{bad}");
        }
        assert!(Destination::of(&at("link")).unwrap().is_same_file(&at("file")));
        assert!(!Destination::of(&at("other")).unwrap().is_same_file(&at("file")));
    }

    #[test]
    fn a_file_appears_whole_with_the_rights_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("secret"), "old").unwrap();
        fs::set_permissions(at("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("secret", at("link")).unwrap();
        let mut writing = Destination::of(&at("link")).unwrap().open().unwrap();
        writing.write(b"one ").unwrap();
        assert_eq!(
            fs::read(at("secret")).unwrap(),
            b"old",
            "not before it is complete"
        );
        writing.write(b"two").unwrap();
        writing.finish().unwrap();
        assert_eq!(fs::read(at("secret")).unwrap(), b"one two");
        assert_eq!(fs::metadata(at("secret")).unwrap().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());

        // What is given up leaves nothing, and what was there stays.
        let mut given_up = Destination::of(&at("secret")).unwrap().open().unwrap();
        given_up.write(b"half").unwrap();
        drop(given_up);
        assert_eq!(fs::read(at("secret")).unwrap(), b"one two");
        assert_eq!(names(folder.path()), ["link", "secret"]);

        // A new file has the rights of every new file.
        fs::write(at("usual"), "").unwrap();
        Destination::of(&at("new")).unwrap().write(b"x").unwrap();
        let mode = |name: &str| fs::metadata(at(name)).unwrap().mode();
        assert_eq!(mode("new"), mode("usual"));
    }

    #[test]
    fn devices_stay_devices() {
        let before = fs::metadata("/dev/null").unwrap();
        Destination::of(Path::new("/dev/null"))
            .unwrap()
            .write(b"x")
            .unwrap();
        let after = fs::metadata("/dev/null").unwrap();
        assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()));
    }
}
