//! How fast a model runs here: one picture and one prompt, measured part by part, several times.
//!
//! [`measure`] times preprocessing, the vision tower, prefill and decoding; [`ceilings`] what the machine can do at most, so that
//! [`Shares`] say how near the model came; [`streams`] what several requests at once decode; [`Profiler`] where the time goes, operation by operation. A [`Report`] is all of it as a
//! table or as JSON.
//!
//! Knows sessions and an injected clock; never arguments, a terminal or the environment.

mod ceilings;
mod error;
#[cfg(test)]
mod example;
mod flame;
mod intake;
mod measure;
mod median;
mod profile;
mod prompt;
mod report;
mod shares;
mod streams;
mod table;
mod work;

pub use ceilings::{Ceilings, ceilings};
pub use error::BenchError;
pub use intake::{Intake, intake};
pub use measure::{Measured, Run, measure};
pub use profile::{Profile, Profiler};
pub use report::{Conditions, Report};
pub use shares::{Costs, Shares};
pub use streams::{Streams, streams};
pub use work::Work;
