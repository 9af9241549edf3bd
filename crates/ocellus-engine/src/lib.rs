//! Generation: requests in, tokens out, for any [`Vlm`](ocellus_models::Vlm).
//!
//! Knows requests, sequences, caches and sampling; never a family's name, a picture format, HTTP, standard output or
//! the environment. Nothing here reads a clock but the one it is given.

pub mod beam;
pub mod generate;
mod prefill;
pub mod rank;
pub mod request;
pub mod sampler;
pub mod stop;

pub use beam::{Beams, Hypothesis, search};
pub use generate::generate;
pub use rank::{Ranked, rank};
pub use request::{EngineError, FinishReason, Flow, Generated, Picture, Request, Timing, Token};
pub use sampler::Sampling;
pub use stop::StopStrings;
