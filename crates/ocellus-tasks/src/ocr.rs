//! Reading a page: lines are found, cut into strips, read by whoever can read strips, and joined.

use ocellus_media::{Gray, Rgb};

use crate::layout::{self, ChunkText, LineText, PageText, find_lines, join, strips};

/// What can read strips: all strips of a page at once in, one text per strip out, in the same order.
pub type ReadStrips<'r, E> = dyn FnMut(&[Gray]) -> Result<Vec<ChunkText>, E> + 'r;

/// A page cut into strips: all that can be done before a reader is there.
#[derive(Debug, Clone, PartialEq)]
pub struct CutPage {
    layout: layout::Page,
    strips: Vec<Gray>,
}

impl CutPage {
    /// Finds the lines of a page and cuts them out.
    pub fn new(page: &Rgb) -> Self {
        let layout = find_lines(page);
        let strips = if layout.blank {
            Vec::new()
        } else {
            strips(page, &layout)
        };
        Self { layout, strips }
    }

    /// Reads the page. `read` is not called for a page without text; its error ends the page.
    pub fn read<E>(&self, read: &mut ReadStrips<'_, E>) -> Result<PageText, E> {
        if self.layout.blank {
            return Ok(PageText::default());
        }
        Ok(join(&self.layout, read(&self.strips)?))
    }
}

/// A page that was read. Boxes are `[x1, y1, x2, y2]` in pixels of the picture as the user sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct OcrPage {
    /// The file it came from.
    pub source: String,
    /// Counted from 1.
    pub page: u32,
    pub width: u32,
    pub height: u32,
    /// No text was found.
    pub blank: bool,
    /// The lines, one per row.
    pub text: String,
    /// In reading order.
    pub lines: Vec<OcrLine>,
    pub warnings: Vec<Warning>,
}

/// A line that was read.
pub type OcrLine = LineText;

/// Something the user should know about a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    pub kind: WarningKind,
    pub message: String,
    pub bbox: [f32; 4],
}

/// What a [`Warning`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarningKind {
    /// There is something like text, but it could not be read.
    Unreadable,
    /// The reader was stopped before it had come to an end.
    Length,
    /// A part of the file was not read.
    Skipped,
}

impl WarningKind {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Length => "length",
            Self::Skipped => "skipped",
        }
    }
}

impl OcrPage {
    /// The result of reading `picture`; lines in which nothing was read become warnings, and so does an end before the end.
    pub fn new(source: impl Into<String>, page: u32, picture: &Rgb, read: PageText) -> Self {
        let unreadable = |bbox: &[f32; 4]| Warning {
            kind: WarningKind::Unreadable,
            message: "a line was found here, but nothing could be read in it".to_owned(),
            bbox: *bbox,
        };
        let mut warnings: Vec<Warning> = read.unread.iter().map(unreadable).collect();
        warnings.extend(read.cut_tokens.map(|tokens| Warning {
            kind: WarningKind::Length,
            message: format!("the text was cut after {tokens} tokens; there may be more on the page"),
            bbox: [0.0, 0.0, picture.width as f32, picture.height as f32],
        }));
        Self {
            source: source.into(),
            page,
            width: picture.width,
            height: picture.height,
            blank: read.lines.is_empty() && read.unread.is_empty(),
            text: read.text,
            lines: read.lines,
            warnings,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Black bars as letters: two lines of three words of four letters.
    fn page() -> Rgb {
        let mut page = Rgb::filled(400, 200, [255, 255, 255]);
        for (line, word, letter) in (0..24).map(|i| (i / 12, i / 4 % 3, i % 4)) {
            let (left, top) = (40 + word * 70 + letter * 12, 50 + line * 40);
            for (y, x) in (top..top + 16).flat_map(|y| (left..left + 8).map(move |x| (y, x))) {
                let hollow = (left + 3..left + 6).contains(&x) && (top + 3..top + 12).contains(&y);
                if !hollow {
                    let at = (y * 400 + x) * 3;
                    page.data[at..at + 3].fill(0);
                }
            }
        }
        page
    }

    #[test]
    fn strips_are_read_once_and_joined() {
        let mut calls = 0;
        let text = CutPage::new(&page()).read(&mut |strips| {
            calls += 1;
            let text = |index| ChunkText {
                text: format!(" line {index} "),
                confidence: 0.5,
            };
            Ok::<_, Infallible>((0..strips.len()).map(text).collect())
        });
        let Ok(text) = text;
        assert_eq!((calls, text.text.as_str()), (1, "line 0\nline 1"));
        assert_eq!(text.lines[1].confidence, 0.5);
        let done = OcrPage::new("a.png", 1, &page(), text);
        assert!(!done.blank && done.warnings.is_empty());
    }

    #[test]
    fn what_is_not_read_is_warned_of_and_a_blank_page_is_not_read() {
        let Ok(text) = CutPage::new(&page()).read(&mut |_| Ok::<_, Infallible>(Vec::new()));
        let done = OcrPage::new("a.png", 3, &page(), text);
        assert!(!done.blank);
        assert_eq!(done.warnings.len(), 2);
        assert_eq!(done.warnings[0].kind.name(), "unreadable");

        let cut = PageText {
            cut_tokens: Some(7),
            ..PageText::default()
        };
        let done = OcrPage::new("a.png", 1, &page(), cut);
        assert_eq!(done.warnings[0].kind.name(), "length");
        assert!(done.warnings[0].message.contains("after 7 tokens"));

        let blank = Rgb::filled(100, 100, [250, 250, 240]);
        let read = CutPage::new(&blank).read(&mut |_| Err("not to be called"));
        assert!(OcrPage::new("b.png", 1, &blank, read.expect("a blank page cannot fail")).blank);
    }

    #[test]
    fn an_error_of_the_reader_ends_the_page() {
        assert_eq!(
            CutPage::new(&page()).read(&mut |_| Err("no memory")),
            Err("no memory")
        );
    }
}
