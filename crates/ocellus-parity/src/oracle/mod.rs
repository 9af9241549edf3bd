//! Records of what published programs answer, against what this program answers: `verify --oracle`.
//!
//! A file holds JSON lines `{"id", "in", "ref": {program: answer}}`, and its name says of which kind they are. Programs disagree, so that a
//! kind follows some of them: a program that is not followed is named, and its answers are not compared.

mod kinds;
mod record;
mod report;
mod run;
mod smart_resize;
mod time_ids;

pub use report::{json, text};
pub use run::{OracleReport, Outcome, check, files};
