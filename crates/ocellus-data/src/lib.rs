//! Pictures of text lines, made up as they are needed: for training a small reader of text.
//!
//! A [`Synth`] holds [`Fonts`] and a [`Corpus`]; [`Synth::sample`] makes the sample of a given number: it chooses what
//! to say (`phrase`, `generated`), how it looks (`style`), sets it (`shape`, `line`), paints it with what is around it
//! (`compose`), spoils it (`degrade`) and cuts it out as a page reader would (`crop`). Nothing is stored, and the same
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
pub use error::DataError;
pub use face::{Extent, Face};
pub use fonts::Fonts;
pub use synth::{Sample, Synth};
