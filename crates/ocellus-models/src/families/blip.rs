//! BLIP (Li et al. 2022, arXiv:2201.12086): an image tower and a text model that serves as encoder and as decoder, for
//! captions, for answers and for matching. Reference: `blip` of transformers.
//!
//! Specific to this family: in captioning the decoder's start token replaces the first token of the prompt, and the last token is
//! dropped; in question answering the question is encoded with the picture, and the answer decoder attends to the states of the
//! question.

use ocellus_nn::Params;
use serde_json::json;

use super::family::{Family, Task};
use crate::config::{ConfigError, ConfigFile};
use crate::error::ModelError;
use crate::learner::Learner;
use crate::reference::Trace;

mod answer;
mod caption;
pub(super) mod features;
pub(super) mod fields;
mod pretraining;
mod retrieval;
mod teacher_forcing;
mod text;
mod towers;
pub(super) mod vision;

use answer::AnswerGenerator;
use caption::Captioner;
use fields::{ID, LIBRARY};
use pretraining::{Pretraining, Student};
use retrieval::Retrieval;
use text::TextConfig;
use vision::{RECIPE, VisionConfig};

pub(super) const FAMILY: Family = Family {
    id: ID,
    architectures: &[
        "BlipForConditionalGeneration",
        "BlipForQuestionAnswering",
        "BlipForImageTextRetrieval",
        PRETRAINING,
    ],
    anchors: &[
        "vision_model.embeddings.class_embedding",
        "visual_encoder.cls_token",
    ],
    also: &[],
    claims: |_| false,
    tasks: &[Task::Caption, Task::Ask, Task::Score, Task::Embed, Task::Classify],
    processors: &[("blip", RECIPE)],
    unused: &[
        "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias",
        // Used in training only: the EMA teacher and its queues.
        "vision_model_m.",
        "text_encoder_m.",
        "vision_proj_m.",
        "text_proj_m.",
        "image_queue",
        "text_queue",
        "queue_ptr",
    ],
    load: |config, params| Ok(load(config, params)?),
    shape: None,
    trace: Some(load),
    learner: Some(learner),
    trains: |_| true,
};

/// The original's class for pretraining, which transformers does not have.
const PRETRAINING: &str = "BLIP_Pretrain";

/// A config, read.
struct Config {
    architecture: String,
    vision: VisionConfig,
    text: TextConfig,
    /// Width of the joint embedding space.
    joint: usize,
    scale: f32,
    pretraining: Option<pretraining::Spec>,
}

impl Config {
    fn read(config: &ConfigFile) -> Result<Self, ModelError> {
        let top = config.fields()?.of("BlipConfig");
        top.only("tie_word_embeddings", &[json!(true)])?;
        let vision = VisionConfig::read(top.part("vision_config")?.of("BlipVisionConfig"), ID)?;
        let text = TextConfig::read(top.part("text_config")?.of("BlipTextConfig"), ID, vision.width())?;
        let joint = top.size("image_text_hidden_size")?;
        let scale = top.number("logit_scale_init_value")?.exp() as f32;
        let architecture = config["architectures"][0].as_str().unwrap_or_default();
        let pretraining = match architecture {
            PRETRAINING => Some(pretraining::Spec::read(&top, text.start)?),
            _ => None,
        };
        top.finish(ID, LIBRARY)?;
        Ok(Self {
            architecture: architecture.to_owned(),
            vision,
            text,
            joint,
            scale,
            pretraining,
        })
    }
}

fn load(config: &ConfigFile, p: &Params) -> Result<Box<dyn Trace>, ModelError> {
    let Config {
        architecture,
        vision,
        text,
        joint,
        scale,
        pretraining,
    } = Config::read(config)?;
    let width = vision.width();
    // A config that names no class of the library is of the one whose tensors are there.
    let architecture = match &architecture[..] {
        known if FAMILY.architectures.contains(&known) => known,
        _ if p.at("itm_head").contains("weight") => "BlipForImageTextRetrieval",
        _ if p.at("text_encoder.embeddings.word_embeddings").contains("weight") => "BlipForQuestionAnswering",
        _ => "BlipForConditionalGeneration",
    };
    if let Some(spec) = pretraining {
        return Ok(Box::new(Student::load(p, &vision, &text, joint, &spec)?.model));
    }
    let pictures = vision.load(p, ID, text.positions)?;
    Ok(match architecture {
        "BlipForQuestionAnswering" if text.width() == width => {
            Box::new(AnswerGenerator::load(p, pictures, text)?)
        }
        "BlipForQuestionAnswering" => {
            return Err(ModelError::Config(ConfigError::Value {
                field: "text_config.hidden_size".to_owned(),
                expected: format!("the tower's {width}, since answers look at questions as at pictures"),
                found: text.width().to_string(),
            }));
        }
        "BlipForImageTextRetrieval" => Box::new(Retrieval::load(p, pictures, &text, (width, joint), scale)?),
        // Configs that name no class are captioners.
        _ => Box::new(Captioner::load(p, pictures, text)?),
    })
}

/// `None` for classes that are not the one for pretraining, and for checkpoints that hold no teacher.
fn learner(config: &ConfigFile, p: &Params) -> Result<Option<Box<dyn Learner>>, ModelError> {
    let Config {
        vision,
        text,
        joint,
        pretraining: Some(spec),
        ..
    } = Config::read(config)?
    else {
        return Ok(None);
    };
    let learner = Pretraining::load(p, &vision, &text, joint, &spec)?;
    Ok(learner.map(|learner| Box::new(learner) as Box<dyn Learner>))
}
