//! Generation: requests in, tokens out, for any [`Vlm`](ocellus_models::Vlm).
//!
//! Knows requests, sequences, caches and sampling; never a family's name, a picture format, HTTP, standard output or
//! the environment. Nothing here reads a clock but the one it is given.

pub mod generate;
pub mod request;
pub mod sampler;
pub mod stop;

pub use generate::generate;
pub use request::{EngineError, FinishReason, Flow, Generated, Picture, Request, Timing, Token};
pub use sampler::Sampling;
pub use stop::StopStrings;
