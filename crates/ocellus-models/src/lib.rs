//! Model families behind one trait, [`Vlm`], and the registry that finds them by the name in a `config.json`.
//!
//! Knows config fields, families and how pictures stand in a prompt; never a scheduler, a sampler, HTTP, a clock or
//! a path: a checkpoint comes as a config text and a set of tensors.

pub mod adapter;
pub mod capabilities;
pub mod config;
pub mod dual_encoder;
pub mod embeddings;
pub mod error;
pub mod facts;
pub mod families;
pub mod input;
pub mod learner;
pub mod model;
pub mod mrope;
pub mod packed_texts;
pub mod patches;
pub mod plan;
pub mod quantisation;
pub mod reference;
pub mod states;
pub mod visual_input;
pub mod vlm;

pub use capabilities::{
    Alignment, ClassScore, Classifier, Detections, Detector, Embedder, ImageTextMatcher, MaskedRegionHead,
    MlmHead, PairScore, RegionPredictions, WordRegionAligner,
};
pub use config::{ConfigError, ConfigFile, ModelWarning};
pub use dual_encoder::{DualEncoder, FusionEncoder};
pub use embeddings::Embeddings;
pub use error::ModelError;
pub use facts::Facts;
pub use families::{CONFIG_FILES, FAMILIES, Family, Task, find, load, load_generator};
pub use input::{InputSpec, TaskPrompts, VisualFormat};
pub use learner::{Learner, Objective};
pub use model::{Generator, Model};
pub use mrope::{PositionRule, Positions, VisualSpan};
pub use ocellus_media::Grid;
pub use packed_texts::PackedTexts;
pub use reference::{Given, ReferencePrompt, Trace};
pub use states::{JointStates, States};
pub use visual_input::{Regions, VisualInput};
pub use vlm::{PrefillInput, Prompt, Slot, Vlm};
