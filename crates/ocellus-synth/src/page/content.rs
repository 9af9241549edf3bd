//! What a page says: paragraphs, headings, fields, cells, in its language.

use crate::corpus::{Corpus, Script};
use crate::generated;
use crate::phrase;
use crate::random::Rng;

/// Where text of one page comes from.
pub(super) struct Content<'a> {
    corpus: &'a Corpus,
    charset: &'a [char],
    pub script: Script,
}

impl<'a> Content<'a> {
    pub(super) fn choose(rng: &mut Rng, corpus: &'a Corpus, charset: &'a [char]) -> Self {
        let script = if corpus.has_han() && rng.chance(0.58) {
            Script::Han
        } else {
            Script::Latin
        };
        Self {
            corpus,
            charset,
            script,
        }
    }

    fn filtered(&self, text: &str) -> Vec<char> {
        let mut chars: Vec<char> = text.chars().collect();
        phrase::clean(&mut chars, self.charset);
        chars
    }

    /// A paragraph of at least about `chars` characters, made of lines of the corpus that follow one another.
    pub(super) fn paragraph(&self, rng: &mut Rng, chars: usize) -> Vec<char> {
        let mut out: Vec<char> = Vec::new();
        for _ in 0..6 {
            let (line, _) = self.corpus.place(self.script, rng);
            if !out.is_empty() && self.script == Script::Latin {
                out.push(' ');
            }
            out.extend(line.chars().take(chars * 2));
            if out.len() >= chars {
                break;
            }
        }
        out.truncate(chars.max(8));
        self.filtered(&out.iter().collect::<String>())
    }

    /// A few words.
    pub(super) fn words(&self, rng: &mut Rng, chars: usize) -> Vec<char> {
        let (line, offset) = self.corpus.place(self.script, rng);
        let start = match self.script {
            Script::Han => offset,
            Script::Latin => line[..offset].rfind(' ').map_or(0, |i| i + 1),
        };
        let mut out: Vec<char> = line[start..].chars().take(chars).collect();
        if self.script == Script::Latin
            && let Some(end) = out.iter().rposition(|c| *c == ' ')
            && end > 2
        {
            out.truncate(end);
        }
        let text = out.iter().collect::<String>();
        let end: &[_] = &['，', '、', '；', ',', ';', ' ', '。', '.'];
        let out = self.filtered(text.trim_matches(end));
        if out.is_empty() { self.piece(rng) } else { out }
    }

    /// A heading, with or without a number.
    pub(super) fn heading(&self, rng: &mut Rng) -> Vec<char> {
        let number = match rng.below(4) {
            0 => format!("{}. ", rng.int(1, 9)),
            1 => format!("{}.{} ", rng.int(1, 9), rng.int(1, 9)),
            _ => String::new(),
        };
        let longest = if self.script == Script::Han { 12 } else { 32 };
        let length = rng.int(4, longest);
        let mut out: Vec<char> = number.chars().collect();
        out.extend(self.words(rng, length));
        out
    }

    /// A generated piece: a date, a price, a field, code.
    pub(super) fn piece(&self, rng: &mut Rng) -> Vec<char> {
        let text = match self.script {
            Script::Han => generated::chinese(rng),
            Script::Latin => generated::piece(rng).0,
        };
        self.filtered(&text)
    }

    /// What stands in a cell of a column of numbers, or of words.
    pub(super) fn cell(&self, rng: &mut Rng, numbers: bool) -> Vec<char> {
        let text = if numbers {
            generated::number(rng)
        } else {
            return self.short(rng);
        };
        self.filtered(&text)
    }

    /// A short piece without wide gaps.
    pub(super) fn short(&self, rng: &mut Rng) -> Vec<char> {
        let mut out = if rng.chance(0.5) {
            let length = if self.script == Script::Han {
                rng.int(2, 8)
            } else {
                rng.int(4, 20)
            };
            self.words(rng, length)
        } else {
            self.piece(rng)
        };
        out.iter_mut().for_each(|c| {
            if *c == phrase::GAP {
                *c = ' ';
            }
        });
        out.truncate(28);
        out
    }
}
