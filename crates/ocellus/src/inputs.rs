//! Pictures and texts named on the command line: files, folders, standard input.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ocellus_base::limits::{ENCODED_BYTES, TEXT_BYTES};
use ocellus_media::Limits;
use walkdir::WalkDir;

use crate::error::Failure;
use crate::natural;

/// Endings by which a picture is found in a folder. A file named on its own may have any.
const ENDINGS: &[&str] = &["bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp"];

/// The ending by which a text is known.
const TEXT: &str = "txt";

/// Endings of what may stand in a folder for the same purpose and is not read; it is said that it is skipped.
const SKIPPED: &[&str] = &[
    "pdf", "djvu", "heic", "avif", "jp2", "mp4", "mov", "mkv", "avi", "webm",
];

/// Turns folders into the pictures in them and in their folders, in the order of their names; leaves everything else as it is.
///
/// # Errors
/// Per argument: a folder that cannot be read or holds no pictures.
pub fn expand(argument: &Path) -> Result<Vec<PathBuf>, Failure> {
    found(argument, "pictures", ENDINGS)
}

/// The same for pictures and texts.
pub fn expand_with_texts(argument: &Path) -> Result<Vec<PathBuf>, Failure> {
    found(argument, "pictures or texts", &[ENDINGS, &[TEXT]].concat())
}

/// Whether there is a file with the ending of a picture.
pub fn is_picture_file(path: &Path) -> bool {
    ends(path, ENDINGS) && path.is_file()
}

/// Whether a text looks like the path of a file: it has the ending of one that is read or skipped, or begins like a path.
pub fn looks_like_path(text: &str) -> bool {
    let path = Path::new(text);
    let starts = ["./", "../", "/", "~/"]
        .iter()
        .any(|start| text.starts_with(start));
    let one_word = !text.contains(char::is_whitespace);
    one_word && starts || ends(path, ENDINGS) || ends(path, SKIPPED)
}

/// Whether the name is that of a text.
pub fn is_text(path: &Path) -> bool {
    ends(path, &[TEXT])
}

fn ends(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    endings.contains(&ending.to_ascii_lowercase().as_str())
}

fn found(argument: &Path, what: &str, endings: &[&str]) -> Result<Vec<PathBuf>, Failure> {
    if !argument.is_dir() {
        return Ok(vec![argument.into()]);
    }
    // Links to folders are not followed, so that there is an end.
    let hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
    let entries = WalkDir::new(argument)
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name()));
    let (mut paths, mut skipped) = (Vec::new(), Vec::new());
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.into_path(),
            Err(error) if error.depth() == 0 => {
                let error = error.into();
                return Err(Failure::io("list the folder", argument, &error));
            }
            Err(error) => {
                log::warn!("{}: a part of the folder is skipped: {error}", argument.display());
                continue;
            }
        };
        match path.is_file() {
            true if ends(&path, endings) => paths.push(path),
            true if ends(&path, SKIPPED) => skipped.push(path),
            _ => {}
        }
    }
    paths.sort_by(|a, b| natural::compare(a, b));
    skipped.sort_by(|a, b| natural::compare(a, b));
    if let Some(first) = skipped.first() {
        let more = match skipped.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        log::warn!(
            "{}{more}: skipped, this kind of file is not read",
            first.display()
        );
    }
    if paths.is_empty() {
        return Err(
            Failure::new(format!("{}: the folder holds no {what}", argument.display())).hint(format!(
                "{what} are found by their endings: {}",
                endings.join(", ")
            )),
        );
    }
    Ok(paths)
}

/// The pictures of all arguments in their order. A folder is listed only when it is reached.
pub fn all(arguments: &[PathBuf]) -> impl Iterator<Item = Result<PathBuf, Failure>> {
    arguments.iter().flat_map(|argument| match expand(argument) {
        Ok(paths) => paths.into_iter().map(Ok).collect(),
        Err(failure) => vec![Err(failure)],
    })
}

/// Whether reading may take arbitrarily long, as with standard input, pipes and devices.
pub fn may_wait(path: &Path) -> bool {
    !path.is_file()
}

/// What to call an input in results and messages.
pub fn name(path: &Path) -> String {
    if is_stdin(path) {
        "standard input".into()
    } else {
        path.display().to_string()
    }
}

/// Reads a picture's bytes, of a file or of standard input (`-`), without decoding them. What will not be looked at is said.
///
/// # Errors
/// No such file, too many bytes, and content that is known not to be a picture: PDF and video.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read_all(path)?;
    let limits = Limits::default();
    // What cannot be counted is reported by decoding.
    let count = |counted: Result<u32, _>| counted.unwrap_or(1);
    let name = name(path);
    match count(ocellus_media::pages(&bytes, &limits)) {
        0 | 1 => {}
        pages => log::warn!("{name}: the first of {pages} pages is taken; `ocellus ocr` reads all"),
    }
    if let Some(skipped) = skipped_frames(&bytes) {
        log::warn!("{name}: {skipped}");
    }
    Ok(bytes)
}

/// That an animation has frames that nobody will look at.
pub fn skipped_frames(bytes: &[u8]) -> Option<String> {
    let frames = ocellus_media::frames(bytes, &Limits::default()).unwrap_or(1);
    (frames > 1).then(|| format!("the first of {frames} frames is taken, the others are skipped"))
}

/// The same without a word about pages and frames, for who takes them all.
pub fn read_all(path: &Path) -> Result<Vec<u8>, Failure> {
    if ["http://", "https://"]
        .iter()
        .any(|scheme| path.starts_with(scheme))
        && !path.exists()
    {
        return Err(Failure::new(format!(
            "{}: pictures are not fetched from addresses",
            path.display()
        ))
        .hint("download it first, as in: curl -LO ADDRESS"));
    }
    let failure = |error: io::Error| Failure::io("read", path, &error);
    let mut bytes = Vec::new();
    // One byte over the bound is enough to know.
    let count = if is_stdin(path) {
        io::stdin()
            .lock()
            .take(ENCODED_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(failure)?
    } else {
        if path.is_dir() {
            return Err(
                Failure::new(format!("{}: expected a picture, found a folder", path.display()))
                    .hint("name a file in it"),
            );
        }
        fs::File::open(path)
            .and_then(|file| file.take(ENCODED_BYTES + 1).read_to_end(&mut bytes))
            .map_err(failure)?
    };
    let name = name(path);
    if count as u64 > ENCODED_BYTES {
        let bound = crate::output::size(ENCODED_BYTES);
        return Err(Failure::new(format!(
            "{name}: expected a picture of at most {bound}, found a larger file"
        ))
        .hint("save the picture as JPEG or PNG, or scale it down"));
    }
    match unsupported(&bytes) {
        Some(Kind::Pdf) => Err(
            Failure::new(format!("{name}: PDF documents are not supported yet"))
                .hint("turn the pages into pictures first, as in: pdftoppm -r 200 -png in.pdf page"),
        ),
        Some(Kind::Video) => Err(Failure::new(format!("{name}: video is not supported yet"))
            .hint("take single pictures out of it, as in: ffmpeg -i in.mp4 -vf fps=1 frame-%04d.png")),
        None => Ok(bytes),
    }
}

/// Reads a text, of a file or of standard input (`-`).
///
/// # Errors
/// No such file, too many bytes, and bytes that are no UTF-8.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let failure = |error: io::Error| Failure::io("read", path, &error);
    let (mut bytes, bound) = (Vec::new(), TEXT_BYTES as u64);
    // One byte over the bound is enough to know.
    let read = match is_stdin(path) {
        true => io::stdin().lock().take(bound + 1).read_to_end(&mut bytes),
        false => fs::File::open(path).and_then(|file| file.take(bound + 1).read_to_end(&mut bytes)),
    };
    if read.map_err(failure)? as u64 > bound {
        let bound = crate::output::size(bound);
        return Err(Failure::new(format!(
            "{}: expected a text of at most {bound}, found a larger file",
            path.display()
        ))
        .hint("cut it into several files"));
    }
    String::from_utf8(bytes).map_err(|error| failure(io::Error::new(io::ErrorKind::InvalidData, error)))
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pdf,
    Video,
}

/// The kinds that users try and that are not read, recognised by their content.
fn unsupported(bytes: &[u8]) -> Option<Kind> {
    let start = &bytes[..bytes.len().min(1024)];
    // A PDF may have rubbish before its header.
    if start.windows(5).any(|window| window == b"%PDF-") {
        return Some(Kind::Pdf);
    }
    let still = |brand: &[u8]| matches!(brand, b"heic" | b"heix" | b"mif1" | b"msf1" | b"avif" | b"avis");
    let iso_video = start.get(4..8) == Some(b"ftyp") && !start.get(8..12).is_some_and(still);
    let riff_video = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"AVI ");
    let matroska = start.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]);
    let flash = start.starts_with(b"FLV\x01");
    let mpeg = start.starts_with(&[0, 0, 1, 0xba]) || start.starts_with(&[0, 0, 1, 0xb3]);
    let transport_stream = start.first() == Some(&0x47) && start.get(188) == Some(&0x47);
    (iso_video || riff_video || matroska || flash || mpeg || transport_stream).then_some(Kind::Video)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_content() {
        let mut transport_stream = vec![0x47; 1];
        transport_stream.resize(188, 0);
        transport_stream.push(0x47);
        let cases: [(&[u8], Option<Kind>); 10] = [
            (b"%PDF-1.7", Some(Kind::Pdf)),
            (b"\n\n%PDF-1.4", Some(Kind::Pdf)),
            (b"\0\0\0\x20ftypisom", Some(Kind::Video)),
            (b"\0\0\0\x20ftypheic", None),
            (b"\x1a\x45\xdf\xa3....", Some(Kind::Video)),
            (b"RIFF\0\0\0\0AVI ", Some(Kind::Video)),
            (b"RIFF\0\0\0\0WEBP", None),
            (&transport_stream, Some(Kind::Video)),
            (b"\x89PNG\r\n\x1a\n", None),
            (b"", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(unsupported(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn folders_give_their_pictures_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.PNG", "a.jpg", "notes.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let inner = folder.path().join("c.png");
        fs::create_dir(&inner).unwrap();
        assert!(expand(&inner).is_err(), "a folder without pictures");
        for name in ["x10.tif", "x9.tif", ".hidden.png", "more.pdf"] {
            fs::write(inner.join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join(".git")).unwrap();
        fs::write(folder.path().join(".git/d.png"), "").unwrap();
        let below = |names: &[&str]| names.iter().map(|n| folder.path().join(n)).collect::<Vec<_>>();
        let expected = below(&["a.jpg", "b.PNG", "c.png/x9.tif", "c.png/x10.tif"]);
        assert_eq!(expand(folder.path()).unwrap(), expected);
        assert_eq!(expand(Path::new("-")).unwrap(), [Path::new("-")]);
        let with_texts = expand_with_texts(folder.path()).unwrap();
        assert_eq!(
            with_texts.iter().map(|path| is_text(path)).collect::<Vec<_>>(),
            [false, false, false, false, true]
        );
        for entry in fs::read_dir(&inner).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }

        // One folder that cannot be listed takes nothing from the others.
        let given = [folder.path().join("c.png"), folder.path().into(), "-".into()];
        let all: Vec<Option<PathBuf>> = all(&given).map(Result::ok).collect();
        assert_eq!((all.len(), &all[0]), (4, &None));
        let waits: Vec<bool> = all.iter().flatten().map(|path| may_wait(path)).collect();
        assert_eq!(waits, [false, false, true]);
    }
}
