//! Reading a page: lines are found, cut into strips, read by whoever can read strips, and joined.

use ocellus_media::{Gray, Rgb};

use crate::layout::{
    self, ChunkText, LineText, PageText, find_lines, find_lines_at, join, join_certain, strips,
};

/// What can read strips: some strips of a page in, one text per strip out, in the same order.
pub type ReadStrips<'r, E> = dyn FnMut(&[Gray]) -> Result<Vec<ChunkText>, E> + 'r;

/// Strips that are read first, to see whether the page is the right way up.
const SAMPLE: usize = 8;
/// A sample that is read with this confidence is the right way up: text on its head has 0.6 to 0.8.
const UPRIGHT_CONFIDENCE: f32 = 0.9;

/// A page cut into strips: all that can be done before a reader is there.
#[derive(Debug, Clone, PartialEq)]
pub struct CutPage {
    layout: layout::Page,
    strips: Vec<Gray>,
}

impl CutPage {
    /// Finds the lines of a page and cuts them out.
    pub fn new(page: &Rgb) -> Self {
        Self::of(page, find_lines(page))
    }

    fn of(page: &Rgb, layout: layout::Page) -> Self {
        let strips = if layout.blank {
            Vec::new()
        } else {
            strips(page, &layout)
        };
        Self { layout, strips }
    }

    /// Reads the page: `page` is the picture that was cut. Lines of which the reader is unsure are left out and kept apart,
    /// unless `keep_uncertain`.
    ///
    /// A few strips are read first. If they are read badly, the page may stand on its head or lie on its side: it is cut
    /// that way too, and read as it is read best. `read` is called a few times, not at all for a page without text; its error
    /// ends the page.
    pub fn read<E>(
        &self,
        page: &Rgb,
        keep_uncertain: bool,
        read: &mut ReadStrips<'_, E>,
    ) -> Result<PageText, E> {
        if self.layout.blank {
            return Ok(PageText::default());
        }
        let sample = Sample::read(self, read)?;
        if sample.confidence >= UPRIGHT_CONFIDENCE {
            return self.read_rest(sample, keep_uncertain, read);
        }
        // If no way up is read well, it is no text, or none that the reader knows: then it stays as it is.
        for quarter in [180.0, 90.0, -90.0] {
            let degrees = self.layout.skew_degrees + quarter;
            let turned = Self::of(page, find_lines_at(page, degrees));
            let other = Sample::read(&turned, read)?;
            if other.confidence >= UPRIGHT_CONFIDENCE {
                return turned.read_rest(other, keep_uncertain, read);
            }
        }
        self.read_rest(sample, keep_uncertain, read)
    }

    fn read_rest<E>(
        &self,
        sample: Sample,
        keep_uncertain: bool,
        read: &mut ReadStrips<'_, E>,
    ) -> Result<PageText, E> {
        let unread = |index: &usize| !sample.chosen.contains(index);
        let rest: Vec<usize> = (0..self.strips.len()).filter(unread).collect();
        let mut texts = vec![ChunkText::default(); self.strips.len()];
        let mut put = |places: Vec<usize>, read: Vec<ChunkText>| {
            for (place, text) in places.into_iter().zip(read) {
                texts[place] = text;
            }
        };
        if !rest.is_empty() {
            let strips: Vec<Gray> = rest.iter().map(|&index| self.strips[index].clone()).collect();
            put(rest, read(&strips)?);
        }
        put(sample.chosen, sample.texts);
        let joined = if keep_uncertain { join } else { join_certain };
        Ok(joined(&self.layout, texts))
    }
}

/// The widest strips of a page, read.
struct Sample {
    /// Which strips, in their order.
    chosen: Vec<usize>,
    texts: Vec<ChunkText>,
    /// Of their better half.
    confidence: f32,
}

impl Sample {
    fn read<E>(page: &CutPage, read: &mut ReadStrips<'_, E>) -> Result<Self, E> {
        let mut chosen: Vec<usize> = (0..page.strips.len()).collect();
        chosen.sort_by_key(|&index| std::cmp::Reverse(page.strips[index].width));
        chosen.truncate(SAMPLE);
        chosen.sort_unstable();
        let strips: Vec<Gray> = chosen.iter().map(|&index| page.strips[index].clone()).collect();
        let texts = if strips.is_empty() {
            Vec::new()
        } else {
            read(&strips)?
        };
        Ok(Self {
            confidence: best_half(&texts),
            chosen,
            texts,
        })
    }
}

/// Mean confidence over the characters of the better half of some texts; 0 if there are none. Rules and pictures among them do
/// not make text unreadable.
fn best_half(texts: &[ChunkText]) -> f32 {
    let mut read: Vec<(f32, f32)> = texts
        .iter()
        .map(|text| (text.confidence, text.text.trim().chars().count() as f32))
        .filter(|&(_, characters)| characters > 0.0)
        .collect();
    read.sort_by(|a, b| b.0.total_cmp(&a.0));
    read.truncate(read.len().div_ceil(2));
    let (sum, count) = read
        .iter()
        .fold((0.0, 0.0), |(sum, count), (confidence, characters)| {
            (sum + confidence * characters, count + characters)
        });
    if count > 0.0 { sum / count } else { 0.0 }
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
    /// Lines of which the reader was unsure were left out.
    Uncertain,
}

impl WarningKind {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Length => "length",
            Self::Skipped => "skipped",
            Self::Uncertain => "uncertain",
        }
    }
}

impl OcrPage {
    /// The result of reading `picture`. Lines in which nothing was read become warnings, and so does an end before the end; those that
    /// were left out become one warning that counts them.
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
        warnings.extend(left_out(&read));
        Self {
            source: source.into(),
            page,
            width: picture.width,
            height: picture.height,
            blank: read.lines.is_empty() && warnings.is_empty(),
            text: read.text,
            lines: read.lines,
            warnings,
        }
    }
}

fn left_out(read: &PageText) -> Option<Warning> {
    let boxes = read.uncertain.iter().map(|line| line.bbox);
    let bbox = boxes.reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])?;
    let count = read.uncertain.len();
    let lines = if count == 1 { "line was" } else { "lines were" };
    Some(Warning {
        kind: WarningKind::Uncertain,
        message: format!(
            "{count} {lines} left out because the reader was unsure: rules, pictures or unknown script"
        ),
        bbox,
    })
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

    fn sure(index: usize) -> ChunkText {
        ChunkText {
            text: format!(" line {index} "),
            confidence: 0.95,
        }
    }

    #[test]
    fn strips_are_read_once_and_joined() {
        let mut calls = 0;
        let text = CutPage::new(&page()).read(&page(), false, &mut |strips| {
            calls += 1;
            Ok::<_, Infallible>((0..strips.len()).map(sure).collect())
        });
        let Ok(text) = text;
        assert_eq!((calls, text.text.as_str()), (1, "line 0\nline 1"));
        assert_eq!(text.lines[1].confidence, 0.95);
        let done = OcrPage::new("a.png", 1, &page(), text);
        assert!(!done.blank && done.warnings.is_empty());
    }

    #[test]
    fn what_is_not_read_is_warned_of_and_a_blank_page_is_not_read() {
        let Ok(text) = CutPage::new(&page()).read(&page(), false, &mut |_| Ok::<_, Infallible>(Vec::new()));
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
        let read = CutPage::new(&blank).read(&blank, false, &mut |_| Err("not to be called"));
        assert!(OcrPage::new("b.png", 1, &blank, read.expect("a blank page cannot fail")).blank);
    }

    #[test]
    fn uncertain_lines_are_counted_and_kept_on_demand() {
        for (first, second, keep, expected, warning) in [
            (0.55, 0.95, false, "line 1", Some("1 line was left out")),
            (0.55, 0.95, true, "line 0\nline 1", None),
            (0.62, 0.95, false, "line 0\nline 1", None),
            (0.3, 0.2, false, "", Some("2 lines were left out")),
        ] {
            let mut read = |strips: &[Gray]| {
                let confidences = [first, second];
                let text = |index: usize| ChunkText {
                    text: format!("line {index}"),
                    confidence: confidences[index % 2],
                };
                Ok::<_, Infallible>((0..strips.len()).map(text).collect())
            };
            let Ok(text) = CutPage::new(&page()).read(&page(), keep, &mut read);
            assert_eq!(text.text, expected, "{first} {second} {keep}");
            let done = OcrPage::new("a.png", 1, &page(), text);
            assert!(!done.blank);
            let found = done.warnings.first();
            assert_eq!(
                found.map(|warning| warning.kind),
                warning.map(|_| WarningKind::Uncertain)
            );
            assert!(found.is_none_or(|found| found.message.starts_with(warning.unwrap_or("?"))));
        }
    }

    #[test]
    fn an_error_of_the_reader_ends_the_page() {
        assert_eq!(
            CutPage::new(&page()).read(&page(), false, &mut |_| Err("no memory")),
            Err("no memory")
        );
    }
}
