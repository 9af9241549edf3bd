//! ALBEF (Li et al. 2021): an image tower, a text encoder whose upper layers attend to the picture, and an EMA teacher of
//! both in training. Reference: `salesforce/ALBEF`.
//!
//! Specific to this family: one encoder serves as the text tower (its lower layers) and as the fusion encoder (the other layers),
//! and a text is `[CLS]` and its tokens, without an end token. A fine-tuned checkpoint has a decoder for answers ([`answers`]) or
//! a classifier in addition.

use super::family::{Family, Task};

mod answers;
mod config;
mod model;
mod pretraining;
mod towers;
mod trace;

use config::{Config, ID, RECIPE};
use model::Albef;

pub(super) const FAMILY: Family = Family {
    id: ID,
    architectures: &["ALBEF"],
    anchors: &["visual_encoder.cls_token"],
    tasks: &[Task::Ask, Task::Score, Task::Embed, Task::Classify, Task::Fill],
    also: &[],
    claims: |_| false,
    processors: &[("albef", RECIPE)],
    unused: &[
        // Used in training only: the EMA teacher and its queues.
        "visual_encoder_m.",
        "text_encoder_m.",
        "text_decoder_m.",
        "vision_proj_m.",
        "text_proj_m.",
        "cls_head_m.",
        "image_queue",
        "text_queue",
        "idx_queue",
        "queue_ptr",
        // Copies of the token embedding table and of the bias of the MLM head.
        "predictions.decoder.weight",
        "predictions.decoder.bias",
    ],
    load: |config, params| Ok(Box::new(Albef::load(&Config::read(config)?, params)?)),
    shape: None,
    trace: Some(|config, params| Ok(Box::new(Albef::load(&Config::read(config)?, params)?))),
    learner: Some(|config, params| pretraining::load(&Config::read(config)?, params)),
    trains: |_| true,
};
