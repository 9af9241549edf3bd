//! Synthetic pictures of text lines, generated on demand, for training a small reader of text.
//!
//! A [`Synth`] holds [`Fonts`] and a [`Corpus`]; [`Synth::sample`] makes the sample of a given number: it chooses the
//! text (`phrase`, `generated`) and its look (`style`), typesets it (`shape`, `line`), paints it with its surroundings
//! (`compose`), degrades it (`degrade`) and crops it as a page reader would (`crop`). Nothing is stored, and the same
//! seed and number give the same sample.

pub mod charset;
mod compose;
mod corpus;
mod crop;
mod curriculum;
mod degrade;
mod error;
mod face;
mod families;
mod fonts;
mod generated;
mod line;
mod outline;
mod phrase;
mod plane;
mod random;
mod shape;
mod style;
mod synth;

pub use corpus::Corpus;
pub use curriculum::Curriculum;
pub use error::SynthError;
pub use face::{Extent, Face};
pub use fonts::Fonts;
pub use synth::{Sample, Synth};
