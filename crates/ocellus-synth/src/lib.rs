//! Synthetic pictures of pages and of text lines, generated on demand, for training a small reader of text.
//!
//! A [`Synth`] holds [`Fonts`] and a [`Corpus`]; [`Synth::sample`] makes the sample of a given number: it chooses the
//! text (`phrase`, `generated`) and its look (`style`), typesets it (`shape`, `line`), paints it with its surroundings
//! (`compose`), degrades it (`degrade`) and crops it as a page reader would (`crop`). [`Synth::page`] draws a whole page with its true
//! lines (`page`), and [`Synth::cut`] takes samples from one with what cuts pages when they are read (`cut`). Nothing is stored, and the
//! same seed and number give the same sample.

pub mod charset;
mod compose;
mod corpus;
mod crop;
mod curriculum;
mod cut;
mod degrade;
mod error;
mod face;
mod families;
mod fonts;
mod generated;
mod line;
mod outline;
mod page;
mod phrase;
mod plane;
mod random;
mod sample;
mod shape;
mod style;
mod synth;

pub use corpus::Corpus;
pub use curriculum::Curriculum;
pub use error::SynthError;
pub use face::{Extent, Face};
pub use fonts::Fonts;
pub use page::{Cell, Page, PageKind, PageLine, Quad};
pub use sample::Sample;
pub use synth::Synth;
