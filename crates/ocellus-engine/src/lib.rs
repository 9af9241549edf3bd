//! Generation: requests in, tokens and text out, for any [`Vlm`](ocellus_models::Vlm).
//!
//! An [`Engine`] takes requests with [`submit`](Engine::submit); every [`step`](Engine::step) reads a part of the prompts that
//! wait, decodes one token of every sequence that runs, and says what happened. One thread owns an engine; requests come
//! with their pictures cut into patches. Whatever else runs beside a request, it gets the tokens, to the bit, that it would get
//! alone.
//!
//! Knows requests, sequences, blocks, caches and sampling; never a family's name, a picture format, HTTP, standard output or the
//! environment. Nothing here reads a clock but the one it is given.

mod admission;
pub mod beam;
pub mod block_pool;
pub mod encoder_cache;
pub mod engine;
pub mod error;
pub mod event;
pub mod generate;
mod hypothesis;
pub mod logits;
pub mod model;
pub mod options;
pub mod prefix_cache;
mod prompt;
pub mod rank;
pub mod request;
mod runner;
pub mod sampler;
mod scheduler;
mod sequence;
mod step;
pub mod stop;
mod text;
pub mod timing;

pub use beam::{Beams, Hypothesis, search};
pub use engine::{Engine, Rewound};
pub use error::EngineError;
pub use event::{Event, FinishReason, Token};
pub use generate::{Flow, Generated, generate};
pub use logits::LogitsProcessor;
pub use model::ModelHandle;
pub use options::EngineOptions;
pub use rank::{Ranked, rank};
pub use request::{Attached, Picture, PictureKey, Request, RequestId};
pub use sampler::Sampling;
pub use stop::StopStrings;
pub use timing::Timing;
