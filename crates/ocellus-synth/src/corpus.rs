//! Real text: UTF-8 files, one paragraph or line per line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::random::Rng;
use crate::{SynthError, charset};

/// The lines of all files, folded into the charset. Longer lines are drawn more often: every character of the text
/// has the same chance to be where a sample begins.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// Lines without a Chinese character, and lines with one.
    latin: Lines,
    han: Lines,
}

#[derive(Debug, Clone, Default)]
struct Lines {
    text: String,
    /// Byte offset in `text` at which each line ends; a line begins where the one before ends.
    ends: Vec<usize>,
    /// Some places of every wide character, so that rare ones can be looked for.
    places: BTreeMap<char, Vec<u32>>,
}

/// Places that are kept of a wide character.
const PLACES: usize = 48;

/// What a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    Latin,
    Han,
}

impl Corpus {
    /// Reads UTF-8 text files, in the order of their paths, and keeps what is in `charset`, which must be sorted. A folder stands for the
    /// `.txt` and `.md` files in it.
    ///
    /// # Errors
    /// A path that cannot be read, a file that is no text, and a corpus without a single line in the charset.
    pub fn load(paths: &[PathBuf], charset: &[char]) -> Result<Self, SynthError> {
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
                    if file.extension().is_some_and(|e| e == "txt" || e == "md") {
                        files.push(file);
                    }
                }
            } else {
                files.push(path.clone());
            }
        }
        files.sort();
        let mut corpus = Self {
            latin: Lines::default(),
            han: Lines::default(),
        };
        for file in &files {
            let bytes = ocellus_base::files::read(file, ocellus_base::limits::CORPUS_FILE_BYTES)
                .map_err(read(file))?;
            // Old texts have a byte of another encoding here and there; files that are no text have zeros.
            if bytes.contains(&0) {
                return Err(SynthError::NoText { path: file.clone() });
            }
            corpus.add(&String::from_utf8_lossy(&bytes), charset);
        }
        if corpus.lines() == 0 {
            Err(SynthError::EmptyCorpus { files: files.len() })
        } else {
            Ok(corpus)
        }
    }

    fn add(&mut self, text: &str, charset: &[char]) {
        for line in text.lines() {
            let line = charset::filter(line, charset);
            if line.chars().filter(|c| c.is_alphanumeric()).count() >= 2 {
                if line.chars().any(charset::is_wide) {
                    self.han.push(&line);
                } else {
                    self.latin.push(&line);
                }
            }
        }
    }

    /// Number of lines.
    pub fn lines(&self) -> usize {
        self.latin.ends.len() + self.han.ends.len()
    }

    /// Whether there is text in Chinese.
    pub(crate) fn has_han(&self) -> bool {
        !self.han.ends.is_empty()
    }

    fn of(&self, script: Script) -> &Lines {
        let (wanted, other) = match script {
            Script::Latin => (&self.latin, &self.han),
            Script::Han => (&self.han, &self.latin),
        };
        if wanted.ends.is_empty() { other } else { wanted }
    }

    /// A line, and a byte offset in it at which a character begins.
    pub(crate) fn place(&self, script: Script, rng: &mut Rng) -> (&str, usize) {
        let lines = self.of(script);
        lines.at(rng.below(lines.text.len()))
    }

    /// A line that has the wide character `c`, and where.
    pub(crate) fn place_of(&self, c: char, rng: &mut Rng) -> Option<(&str, usize)> {
        let places = self.han.places.get(&c)?;
        Some(self.han.at(*rng.pick(places) as usize))
    }
}

impl Lines {
    fn push(&mut self, line: &str) {
        for (offset, c) in line.char_indices().filter(|(_, c)| charset::is_wide(*c)) {
            let places = self.places.entry(c).or_default();
            if places.len() < PLACES {
                places.push((self.text.len() + offset) as u32);
            }
        }
        self.text.push_str(line);
        self.ends.push(self.text.len());
    }

    /// The line around byte `at` of the text, and the offset in it of the character there.
    fn at(&self, at: usize) -> (&str, usize) {
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
            latin: Lines::default(),
            han: Lines::default(),
        };
        let mut charset = charset::latin();
        charset.extend(['字', '漢']);
        charset.sort_unstable();
        corpus.add("first line\n漢字\n\nsecond – naïve\n..\n", &charset);
        assert_eq!(corpus.lines(), 3);
        let mut rng = Rng::stream(1, 1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let (line, offset) = corpus.place(Script::Latin, &mut rng);
            assert!(line.is_char_boundary(offset) && offset < line.len());
            seen.insert(line.to_owned());
        }
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            ["first line", "second – naïve"]
        );
        assert_eq!(corpus.place_of('字', &mut rng), Some(("漢字", 3)));
        assert_eq!(corpus.place_of('水', &mut rng), None);
    }

    #[test]
    fn folders_stand_for_their_texts_and_pictures_are_no_text() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        put("a.md", b"# A heading\n\nsome text\n");
        put("b.txt", b"more text");
        put("c.png", b"\x89PNG\r\n\0\0");
        let load = |name: &str| Corpus::load(&[folder.path().join(name)], &charset::latin());
        assert_eq!(load("").unwrap().lines(), 3);
        let error = load("c.png").unwrap_err().to_string();
        assert!(error.ends_with("c.png`: not a text file"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Corpus::load(&[PathBuf::from("/nonexistent/words.txt")], &charset::latin()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/words.txt"), "{error}");
    }
}
