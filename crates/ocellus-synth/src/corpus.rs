//! Real text: UTF-8 files, one paragraph or line per line.

use std::path::{Path, PathBuf};

use crate::random::Rng;
use crate::{SynthError, charset};

/// The lines of all files, folded into the charset. Longer lines are drawn more often: every character of the text
/// has the same chance to be where a sample begins.
#[derive(Debug, Clone)]
pub struct Corpus {
    text: String,
    /// Byte offset in `text` at which each line ends; a line begins where the one before ends.
    ends: Vec<usize>,
}

impl Corpus {
    /// Reads UTF-8 text files, in the order of their paths. A folder stands for the `.txt` files in it.
    ///
    /// # Errors
    /// A path that cannot be read, and a corpus without a single line in the charset.
    pub fn load(paths: &[PathBuf]) -> Result<Self, SynthError> {
        fn read(path: &Path) -> impl FnOnce(std::io::Error) -> SynthError {
            move |source| SynthError::Read {
                path: path.to_owned(),
                source,
            }
        }
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                for entry in std::fs::read_dir(path).map_err(read(path))? {
                    let file = entry.map_err(read(path))?.path();
                    if file.extension().is_some_and(|e| e == "txt") {
                        files.push(file);
                    }
                }
            } else {
                files.push(path.clone());
            }
        }
        files.sort();
        let mut corpus = Self {
            text: String::new(),
            ends: Vec::new(),
        };
        for file in &files {
            let bytes = ocellus_base::files::read(file, ocellus_base::limits::CORPUS_FILE_BYTES)
                .map_err(read(file))?;
            corpus.add(&String::from_utf8_lossy(&bytes));
        }
        if corpus.ends.is_empty() {
            Err(SynthError::EmptyCorpus { files: files.len() })
        } else {
            Ok(corpus)
        }
    }

    fn add(&mut self, text: &str) {
        let latin = charset::latin();
        for line in text.lines() {
            let line = charset::filter(line, &latin);
            if line.chars().filter(|c| c.is_alphanumeric()).count() >= 2 {
                self.text.push_str(&line);
                self.ends.push(self.text.len());
            }
        }
    }

    /// Number of lines.
    pub fn lines(&self) -> usize {
        self.ends.len()
    }

    /// A line, and a byte offset in it at which a character begins.
    pub(crate) fn place(&self, rng: &mut Rng) -> (&str, usize) {
        let at = rng.below(self.text.len());
        let line = self.ends.partition_point(|&end| end <= at);
        let start = if line == 0 { 0 } else { self.ends[line - 1] };
        let text = &self.text[start..self.ends[line]];
        let mut offset = at - start;
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        (text, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_can_be_drawn_and_none_other() {
        let mut corpus = Corpus {
            text: String::new(),
            ends: Vec::new(),
        };
        corpus.add("first line\n漢字\n\nsecond – naïve\n..\n");
        assert_eq!(corpus.lines(), 2);
        let mut rng = Rng::stream(1, 1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let (line, offset) = corpus.place(&mut rng);
            assert!(line.is_char_boundary(offset) && offset < line.len());
            seen.insert(line.to_owned());
        }
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            ["first line", "second – naïve"]
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Corpus::load(&[PathBuf::from("/nonexistent/words.txt")]).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/words.txt"), "{error}");
    }
}
