//! Samples by number: the same seed, index and curriculum give the same picture, on any thread and in any order.

use ocellus_media::{resize_gray, strip};

use crate::compose::{BORDER_PX, compose};
use crate::corpus::Corpus;
use crate::crop::{CELL_PX, HEIGHT_PX, Margins};
use crate::curriculum::Curriculum;
use crate::cut;
use crate::degrade::degrade;
use crate::fonts::Fonts;
use crate::line::{self, Line};
use crate::page::{self, Page, PageKind};
use crate::phrase::{self, GAP, Phrase};
use crate::plane::Plane;
use crate::random::Rng;
use crate::sample::Sample;
use crate::style::Style;

/// Parts the streams of pages from those of samples.
const PAGES: u64 = 0x7061_6765;
const CUTS: u64 = 0x6375_7473;
/// How often each kind of page is drawn, in the order of [`PageKind::ALL`].
const PAGE_SHARES: [f32; 6] = [0.3, 0.12, 0.16, 0.18, 0.16, 0.08];

/// Makes samples from fonts and texts.
#[derive(Debug)]
pub struct Synth {
    fonts: Fonts,
    corpus: Corpus,
    charset: Vec<char>,
    seed: u64,
}

impl Synth {
    /// Characters outside `charset` are left out of all text.
    pub fn new(fonts: Fonts, corpus: Corpus, mut charset: Vec<char>, seed: u64) -> Self {
        charset.sort_unstable();
        charset.dedup();
        Self {
            fonts,
            corpus,
            charset,
            seed,
        }
    }

    /// The faces in use.
    pub fn fonts(&self) -> &Fonts {
        &self.fonts
    }

    /// Sample number `index`. Any thread may ask for any index.
    pub fn sample(&self, index: u64, curriculum: &Curriculum) -> Sample {
        let mut rng = Rng::stream(self.seed, index);
        loop {
            let phrase = phrase::choose(&mut rng, &self.corpus, &self.charset, curriculum);
            let Some(style) = Style::choose(&mut rng, curriculum, &phrase, &self.fonts) else {
                continue;
            };
            if let Some(sample) = self.draw(&mut rng, curriculum, phrase, &style) {
                return sample;
            }
        }
    }

    /// Page number `index`, of a kind that follows from the number. Pages and samples of one number have nothing in common.
    pub fn page(&self, index: u64, difficulty: f32) -> Page {
        let mut rng = Rng::stream(self.seed ^ PAGES, index);
        let kind = PageKind::ALL[rng.weighted(&PAGE_SHARES)];
        page::draw(
            &mut rng,
            &self.fonts,
            &self.corpus,
            &self.charset,
            kind,
            difficulty.clamp(0.0, 1.0),
        )
    }

    /// Samples from page number `index`, as the reader of pages cuts them, in an order of no meaning. Pages on their side give none.
    pub fn cut(&self, index: u64, curriculum: &Curriculum) -> Vec<Sample> {
        let page = self.page(index, curriculum.difficulty);
        let mut samples = if page.turned == 0 {
            cut::samples(&page, curriculum)
        } else {
            Vec::new()
        };
        let mut rng = Rng::stream(self.seed ^ CUTS, index);
        for i in (1..samples.len()).rev() {
            samples.swap(i, rng.below(i + 1));
        }
        samples
    }

    /// `None` when nothing of the phrase can be seen.
    fn draw(
        &self,
        rng: &mut Rng,
        curriculum: &Curriculum,
        mut phrase: Phrase,
        style: &Style,
    ) -> Option<Sample> {
        let margins = Margins::choose(rng, phrase.part);
        let widest = (curriculum.max_cells.max(1) as u32 * CELL_PX) as f32;
        let mut line = line::set(&phrase.chars, style, &self.fonts);
        loop {
            if phrase.chars.is_empty()
                || line.ink_low[0] >= line.ink_high[0]
                || line.spans.len() != phrase.chars.len()
            {
                return None;
            }
            let width = margins.frame(&line).strip_width_px();
            if width <= widest {
                break;
            }
            let most = phrase.chars.len() - 1;
            let fits = ((most + 1) as f32 * widest / width) as usize;
            phrase::cut(&mut phrase.chars, fits.min(most));
            line = line::set(&phrase.chars, style, &self.fonts);
        }
        let frame = margins.frame(&line);
        let neighbour = rng
            .chance(if style.clean { 0.25 } else { 0.4 })
            .then(|| self.neighbour(rng, style));
        let (mut plane, origin) = compose(rng, &line, &frame, style, neighbour.as_ref());
        if !style.clean {
            degrade(
                &mut plane,
                rng,
                style.em_px,
                curriculum.difficulty.clamp(0.0, 1.0),
            );
        }
        Some(self.strip(
            &phrase,
            &line,
            &plane,
            origin,
            frame.right - frame.left,
            margins.stretch,
            widest,
        ))
    }

    /// Crops, resizes, normalises and pads as the page reader does.
    #[allow(clippy::too_many_arguments)]
    fn strip(
        &self,
        phrase: &Phrase,
        line: &Line,
        plane: &Plane,
        origin: [f32; 2],
        width: f32,
        stretch: f32,
        widest: f32,
    ) -> Sample {
        let (wide, high) = ((width.round() as usize).max(1), plane.height - 2 * BORDER_PX);
        let cut = plane
            .cut(BORDER_PX, BORDER_PX, wide.min(plane.width - BORDER_PX), high)
            .to_gray();
        let exact = cut.width as f32 * HEIGHT_PX as f32 / cut.height as f32 * stretch;
        let strip_width = (exact.round().clamp(4.0, widest)) as u32;
        let scale = strip_width as f32 / cut.width as f32;
        let image = strip::pad_right(
            &strip::normalise(&resize_gray(&cut, strip_width, HEIGHT_PX)),
            CELL_PX,
        );
        let to_strip = |x: f32| ((x + origin[0] - BORDER_PX as f32) * scale).clamp(0.0, image.width as f32);
        let spans = line
            .spans
            .iter()
            .map(|span| (to_strip(span.0), to_strip(span.1)))
            .collect();
        let text = phrase
            .chars
            .iter()
            .map(|&c| if c == GAP { ' ' } else { c })
            .collect();
        Sample { text, image, spans }
    }

    /// A line of other text in the same look.
    fn neighbour(&self, rng: &mut Rng, style: &Style) -> Line {
        let curriculum = Curriculum {
            min_chars: 10,
            max_chars: 60,
            max_cells: 1,
            difficulty: 0.0,
        };
        let mut phrase = phrase::choose(rng, &self.corpus, &self.charset, &curriculum);
        let face = &self.fonts.faces()[style.runs[0].face];
        phrase.chars.retain(|&c| c == GAP || face.covers(c));
        let mut style = style.clone();
        style.runs.truncate(1);
        style.runs[0].end = phrase.chars.len();
        line::set(&phrase.chars, &style, &self.fonts)
    }
}
