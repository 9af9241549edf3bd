//! BLIP-2 (Li et al. 2023, arXiv:2301.12597): a frozen image tower, a Q-Former, and a language model that reads the outputs of
//! the Q-Former's queries. Reference: `blip_2` of transformers.
//!
//! Specific to this family: a picture becomes a fixed number of visual tokens whatever its size, and the similarity of a text and
//! a picture is the highest cosine over the picture's queries.

use ocellus_nn::Params;

use super::family::{Family, Task};
use crate::config::ConfigFile;
use crate::error::ModelError;
use crate::learner::Learner;
use crate::reference::Trace;

mod config;
mod first_stage;
mod generate;
mod language;
mod language_model;
mod picture_queries;
mod retrieval;

use config::{Config, ID, retrieves};
use generate::Generate;
use picture_queries::{PictureQueries, RECIPE};
use retrieval::Retrieval;

pub(super) const FAMILY: Family = Family {
    id: ID,
    architectures: &["Blip2ForConditionalGeneration", "Blip2ForImageTextRetrieval"],
    anchors: &["vision_model.embeddings.class_embedding"],
    also: &["blip_2"],
    claims: |_| false,
    tasks: &[Task::Caption, Task::Ask, Task::Score, Task::Embed, Task::Classify],
    processors: &[("blip_2", RECIPE)],
    unused: &[
        "lm_head.weight",
        "encoder.embed_tokens.weight",
        "decoder.embed_tokens.weight",
        // Used in the first training stage only.
        "temp",
        "cls.predictions.",
    ],
    load: |config, params| Ok(load(config, params)?),
    shape: None,
    trace: Some(load),
    learner: Some(learner),
    trains,
};

/// Whether training changes a tensor: in the first stage the queries, the Q-Former and its heads, in the second stage the
/// queries, the Q-Former and the projection (sections 3.2 and 3.3). The image tower and the language model stay frozen.
pub(super) fn trains(name: &str) -> bool {
    !["vision_model.", "language_model."]
        .iter()
        .any(|frozen| name.starts_with(frozen))
}

fn load(config: &ConfigFile, p: &Params) -> Result<Box<dyn Trace>, ModelError> {
    let mut config = Config::read(config, p)?;
    let picture_queries = PictureQueries::load(&config, p)?;
    Ok(match config.language.take() {
        Some(language) => Box::new(Generate::load(p, picture_queries, &config, language)?),
        None => Box::new(Retrieval::load(p, picture_queries, &config)?),
    })
}

/// The first stage. `None` for generators, which the second stage trains, and for checkpoints without what the first needs.
fn learner(config: &ConfigFile, p: &Params) -> Result<Option<Box<dyn Learner>>, ModelError> {
    if !retrieves(config, p) || !first_stage::is_there(p) {
        return Ok(None);
    }
    let config = Config::read(config, p)?;
    let model = Retrieval::load(p, PictureQueries::load(&config, p)?, &config)?;
    Ok(Some(first_stage::load(p, model, &config.qformer)?))
}
