//! BLIP (Li et al. 2022, arXiv:2201.12086): an image tower and a text model that serves as encoder and as decoder, for
//! captions, for answers and for matching. Reference: `blip` of transformers.
//!
//! What belongs to this family alone: the start token takes the place of a prompt's first token, its last token is dropped,
//! and a question is read with the picture before the answer's decoder looks at what was read.

use ocellus_nn::Params;
use serde_json::{Value, json};

use super::{Family, Task, planes};
use crate::config::{ConfigError, Fields};
use crate::model::Model;
use crate::vlm::ModelError;
use ocellus_media::PixelRecipe;

mod answer;
mod caption;
pub(super) mod fields;
mod pretraining;
pub(super) mod retrieval;
mod taught;
mod text;
mod towers;
pub(super) mod vision;

use answer::Answerer;
use caption::Captioner;
use fields::{LIBRARY, section, size};
use pretraining::Pretraining;
use retrieval::Retrieval;
use text::Text;
use vision::{Class, Vision};

const RECIPE: PixelRecipe = planes::web(planes::square(384));

pub(super) const FAMILY: Family = Family {
    id: "blip",
    architectures: &[
        "BlipForConditionalGeneration",
        "BlipForQuestionAnswering",
        "BlipForImageTextRetrieval",
        PRETRAINING,
    ],
    also: &[],
    claims: |_| false,
    tasks: &[Task::Caption, Task::Ask, Task::Score, Task::Embed, Task::Classify],
    processors: &[("blip", RECIPE)],
    unused: &[
        "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias",
        // What only training needs: the slow copy and its queues.
        "vision_model_m.",
        "text_encoder_m.",
        "vision_proj_m.",
        "text_proj_m.",
        "image_queue",
        "text_queue",
        "queue_ptr",
    ],
    load: |config, params| load(config, params),
    shape: None,
};

/// The original's class for pretraining, which the library lacks.
const PRETRAINING: &str = "BLIP_Pretrain";

/// Values of the library's class for towers.
const CLASS: Class = Class {
    width: 768,
    inner: 3072,
    layers: 12,
    heads: 12,
    image_size: 384,
    patch_size: 16,
    eps: 1e-5,
};

/// The reference takes the smoothing of its loss from the text's fields.
const HARMLESS: &[&str] = &["label_smoothing"];

fn load(config: &Value, p: &Params) -> Result<Box<dyn Model>, ModelError> {
    let top = Fields::new("", config)?;
    top.only("tie_word_embeddings", &[json!(true)])?;
    let vision = Vision::read(section(&top, "vision_config")?, FAMILY.id, &CLASS)?;
    let text = Text::read(section(&top, "text_config")?, FAMILY.id, vision.width())?;
    let joint = size(&top, "image_text_hidden_size", 256)?;
    let scale = top.number_or("logit_scale_init_value", 2.6592)?.exp() as f32;
    let architecture = config["architectures"][0].as_str().unwrap_or_default();
    let pretraining = match architecture {
        PRETRAINING => Some(pretraining::Spec::read(&top, &text)?),
        _ => None,
    };
    top.finish(FAMILY.id, &[LIBRARY, HARMLESS].concat())?;

    let width = vision.width();
    if let Some(spec) = pretraining {
        return Ok(Box::new(Pretraining::load(p, &vision, &text, joint, &spec)?));
    }
    let pictures = vision.load(p, FAMILY.id, text.positions)?;
    Ok(match architecture {
        "BlipForQuestionAnswering" if text.width() == width => Box::new(Answerer::load(p, pictures, text)?),
        "BlipForQuestionAnswering" => {
            return Err(ModelError::Config(ConfigError::Value {
                field: "text_config.hidden_size".to_owned(),
                expected: format!("the tower's {width}, since answers look at questions as at pictures"),
                found: text.width().to_string(),
            }));
        }
        "BlipForImageTextRetrieval" => Box::new(Retrieval::load(p, pictures, &text, (width, joint), scale)?),
        // Configs that name no class are of the first.
        _ => Box::new(Captioner::load(p, pictures, text)?),
    })
}
