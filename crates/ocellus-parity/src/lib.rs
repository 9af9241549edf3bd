//! Parity with reference implementations: a case is loaded, run and compared tensor by tensor.
//!
//! A case is a folder that a reference implementation filled: a checkpoint, inputs, and the tensors that it computed from
//! them, each with a tolerance. One file here a task; each fills a set of tensors under the names that the case uses. What a
//! task leaves out is a failing row, so that a family which cannot do everything says so.
//!
//! Knows cases, taps and how references are called; never arguments, a terminal or the environment.

mod array;
mod beams;
mod case;
mod case_report;
mod checkpoint;
mod compare;
mod conversation;
mod decoding;
mod error;
mod files;
mod forward;
mod gradients;
mod greedy;
mod inputs;
mod loss;
mod momentum;
pub mod oracle;
mod pictures;
mod planes;
mod positions;
mod preprocess;
mod produced;
mod report;
mod rows;
mod run;
mod sizes;
mod template;
mod tokens;
mod trace;
mod vocabulary;

pub use case_report::CaseReport;
pub use compare::Row;
pub use error::CaseError;
pub use report::{json, text};
pub use run::{verify, verify_with_warnings};
pub use vocabulary::Vocabularies;
