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
pub(super) mod retrieval;
mod taught;
mod text;
pub(super) mod vision;

use answer::Answerer;
use caption::Captioner;
use fields::{LIBRARY, section, size};
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
    ],
    also: &[],
    claims: |_| false,
    tasks: &[Task::Caption, Task::Ask, Task::Score, Task::Embed, Task::Classify],
    processors: &[("blip", RECIPE)],
    unused: &["cls.predictions.decoder.weight", "cls.predictions.decoder.bias"],
    load: |config, params| load(config, params),
    shape: None,
};

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
    top.finish(FAMILY.id, &[LIBRARY, HARMLESS].concat())?;

    let width = vision.width();
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
