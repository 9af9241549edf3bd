//! Everything that can go wrong before the first sample; afterwards synthesis cannot fail.

use std::path::PathBuf;

/// Why fonts or texts could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthError {
    /// A file or folder could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A file of a corpus is something else.
    #[error("`{}`: not a text file", path.display())]
    NoText { path: PathBuf },
    /// No face passed the checks.
    #[error(
        "no usable font face: expected at least 1 that draws all of printable ASCII, found 0 in {files} font files"
    )]
    NoFaces { files: usize },
    /// No line of text is left after filtering.
    #[error(
        "the corpus is empty: expected at least 1 line of text in the charset, found 0 in {files} text files"
    )]
    EmptyCorpus { files: usize },
}
