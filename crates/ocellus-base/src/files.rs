//! Whole files, bounded whatever they turn out to be.
//!
//! The length that a file system states is no bound: a device states 0 and never ends, a FIFO waits for a writer, a file may grow. So
//! only regular files are opened, and never more is read than allowed.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Opens a regular file, or a link to one.
///
/// # Errors
/// Those of the system; [`ErrorKind::InvalidInput`] for folders, devices, FIFOs and sockets.
pub fn open(path: &Path) -> Result<File> {
    // Before it is opened, since opening a FIFO waits.
    regular(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

/// The bytes of a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open`]; [`ErrorKind::FileTooLarge`] beyond the limit, after at most `limit + 1` bytes were read.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let stated = file.metadata()?.len();
    let too_large = |found: String| {
        let said = format!("the file has {found} bytes, more than the {limit} that are accepted");
        Error::new(ErrorKind::FileTooLarge, said)
    };
    if stated > limit {
        return Err(too_large(stated.to_string()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stated).unwrap_or_default());
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(format!("at least {}", bytes.len())));
    }
    Ok(bytes)
}

/// As [`read`], as text.
///
/// # Errors
/// As [`read`]; [`ErrorKind::InvalidData`] where the bytes are no UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String> {
    String::from_utf8(read(path, limit)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "the file is not text in UTF-8"))
}

fn regular(metadata: &std::fs::Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    if metadata.is_dir() {
        return Err(Error::new(
            ErrorKind::IsADirectory,
            "not a regular file but a folder",
        ));
    }
    let said = "not a regular file but a device, a FIFO or a socket";
    Err(Error::new(ErrorKind::InvalidInput, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_their_bound() {
        let path = std::env::temp_dir().join(format!("ocellus-base-files-{}", std::process::id()));
        std::fs::write(&path, "twelve bytes").unwrap();
        for (limit, kind) in [
            (12, None),
            (100, None),
            (11, Some(ErrorKind::FileTooLarge)),
            (0, Some(ErrorKind::FileTooLarge)),
        ] {
            let found = read(&path, limit);
            assert_eq!(found.as_ref().err().map(Error::kind), kind, "{limit}: {found:?}");
        }
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_text(&path, 9).unwrap_err().kind(), ErrorKind::InvalidData);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&path, 9).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(
            read(&std::env::temp_dir(), 9).unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_not_read() {
        for device in ["/dev/zero", "/dev/null"] {
            let error = read(Path::new(device), 100).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{device}");
        }
        let link = std::env::temp_dir().join(format!("ocellus-base-link-{}", std::process::id()));
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        let found = read(&link, 100);
        std::fs::remove_file(&link).unwrap();
        assert_eq!(found.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
