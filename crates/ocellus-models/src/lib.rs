//! Model families behind one trait, [`Vlm`], and the registry that finds them by the name in a `config.json`.
//!
//! Knows config fields, families and how pictures stand in a prompt; never a scheduler, a sampler, HTTP, a clock or
//! a path: a checkpoint comes as a config text and a set of tensors.

pub mod config;
pub mod experts;
pub mod families;
pub mod fusion;
pub mod given;
pub mod model;
pub mod mrope;
pub mod packing;
pub mod padded;
pub mod plan;
pub mod querying;
pub mod single_stream;
pub mod vlm;

pub use config::ConfigError;
pub use experts::{Experts, Stage};
pub use families::{CONFIG_FILES, FAMILIES, Family, Task, find, load, load_generator};
pub use fusion::{Followed, Fusion, Grounded, Momentum, Queues, States, TwoTowers};
pub use given::{Given, Rows};
pub use model::{
    Aligner, Alignment, Classifier, Detected, Detector, Embedder, Filler, Generator, Guess, Matcher, Model,
    PairScore, RegionFiller, RegionGuesses, Regions, Sight, Trace,
};
pub use mrope::{PositionRule, Positions, Vision};
pub use querying::Querying;
pub use single_stream::{JointStates, SingleStream};
pub use vlm::{Facts, Grid, ModelError, Opening, Prompt, Slot, Vlm};
