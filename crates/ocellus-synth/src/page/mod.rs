//! Whole pages with their true lines, blocks and cells: laid out, drawn, worn.

mod article;
mod canvas;
mod column;
mod content;
mod form;
mod look;
mod receipt;
mod screen;
mod slide;
mod tables;
mod truth;
mod warp;
mod wear;

pub use truth::{Cell, Page, PageKind, PageLine, Quad};

use crate::corpus::Corpus;
use crate::fonts::Fonts;
use crate::random::Rng;
use canvas::Canvas;
use content::Content;
use look::Look;

/// Draws a page of `kind`.
pub(crate) fn draw(
    rng: &mut Rng,
    fonts: &Fonts,
    corpus: &Corpus,
    charset: &[char],
    kind: PageKind,
    difficulty: f32,
) -> Page {
    let mut content = Content::choose(rng, corpus, charset);
    let mut look = Look::choose(rng, fonts, content.script, kind);
    // A face that the fonts lack leaves pages in the other script.
    if look.han.is_none() {
        content.script = crate::corpus::Script::Latin;
    }
    let mut canvas: Canvas = match kind {
        PageKind::Article => article::article(rng, fonts, &mut content, &mut look),
        PageKind::Form => form::form(rng, fonts, &mut content, &mut look),
        PageKind::Table => tables::report(rng, fonts, &mut content, &mut look),
        PageKind::Receipt => receipt::receipt(rng, fonts, &mut content, &mut look),
        PageKind::Screen => screen::screen(rng, fonts, &mut content, &mut look),
        PageKind::Slide => slide::slide(rng, fonts, &mut content, &mut look),
    };
    canvas.finish();
    wear::wear(rng, canvas, kind, difficulty)
}
