//! What is known of a family before anything is loaded.

use ocellus_media::PixelRecipe;
use ocellus_nn::{Frozen, Params};
use serde_json::Value;

use crate::config::{ConfigFile, ModelWarning};
use crate::error::ModelError;
use crate::learner::Learner;
use crate::model::Model;
use crate::plan::Shape;
use crate::reference::Trace;

/// Builds something from a config and its tensors.
pub type Load<T> = fn(&ConfigFile, &Params) -> Result<T, ModelError>;

/// Reads the sizes of a model from its config.
pub type ReadShape = fn(&ConfigFile) -> Result<Shape, ModelError>;

/// A family of checkpoints that share a config format and an architecture.
pub struct Family {
    /// The `model_type` of its configs.
    pub id: &'static str,
    /// Class names in the `architectures` field of its configs.
    pub architectures: &'static [&'static str],
    /// Other names of the family, in files and in what users type.
    pub also: &'static [&'static str],
    /// Names of tensors that all of its checkpoints have, in each of the published layouts: what stands in front of one of them
    /// in a file stands in front of all names of the model, and is none of it.
    pub anchors: &'static [&'static str],
    /// Whether a config without a known `model_type` or architecture is one of its own.
    pub claims: fn(&Value) -> bool,
    /// Tasks that its models offer on the command line.
    pub tasks: &'static [Task],
    /// Loads a model from a config and its tensors.
    pub load: Load<Box<dyn Model>>,
    /// The model's sizes from its config alone, for planning without weights. `None` = its models cannot be planned.
    pub shape: Option<ReadShape>,
    /// Loads a model that replays the reference forward pass. `None` = its models are generators with pictures in their prompts;
    /// those share one replay.
    pub trace: Option<Load<Box<dyn Trace>>>,
    /// Loads a model with what its training objective needs; the tensors may be newly initialised. Returns `None` for checkpoints
    /// without these parts. `None` here = its models are trained as generators.
    pub learner: Option<Load<Option<Box<dyn Learner>>>>,
    /// Whether training changes the tensor with this name; all others stay frozen.
    pub trains: fn(&str) -> bool,
    /// Names of the processors that prepare its pictures as planes, with their published recipes.
    pub processors: &'static [(&'static str, PixelRecipe)],
    /// Suffixes of the names of tensors that published files contain and the computation does not use. A suffix with a dot at the
    /// end stands for a whole part of a model.
    pub unused: &'static [&'static str],
}

/// A task that a family offers on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Ask,
    Chat,
    Ocr,
    Caption,
    Score,
    Embed,
    Classify,
    /// Filling in masked tokens or masked regions.
    Fill,
    /// Detecting the regions of a picture with their features.
    Detect,
}

impl Task {
    /// The name of the command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Chat => "chat",
            Self::Ocr => "ocr",
            Self::Caption => "caption",
            Self::Score => "score",
            Self::Embed => "embed",
            Self::Classify => "classify",
            Self::Fill => "fill",
            Self::Detect => "detect",
        }
    }
}

/// Names that a warning shows.
const SHOWN: usize = 5;

/// Buffers that old files carry and that are computed instead, and scales of keys and values that would be kept in 8 bits.
const COMPUTED: &[&str] = &[
    "rotary_emb.inv_freq",
    "rotary_pos_emb.inv_freq",
    "position_ids",
    ".k_scale",
    ".v_scale",
    ".kv_scale",
    ".q_scale",
    ".output_scale",
    ".prob_output_scale",
];

impl Family {
    /// Ends the loading of a model from `source`: of tensors that no layer took, those in modules that the model does not have
    /// are a warning of its config.
    ///
    /// # Errors
    /// Any other tensor that no layer took and that the family has a use for.
    pub fn finish(&self, config: &ConfigFile, source: &Frozen) -> Result<(), ModelError> {
        let mut beside = source.beside();
        beside.retain(|name| !self.ignores(name));
        source.finish(|name| self.ignores(name) || beside.iter().any(|extra| extra == name))?;
        if !beside.is_empty() {
            let more = beside.len().saturating_sub(SHOWN);
            beside.truncate(SHOWN);
            config
                .log()
                .warn(ModelWarning::ExtraTensors { names: beside, more });
        }
        Ok(())
    }

    /// Whether a tensor of this name may be left over.
    pub fn ignores(&self, name: &str) -> bool {
        let within = |part: &str| name.starts_with(part) || name.contains(&format!(".{part}"));
        let fits = |end: &&str| name.ends_with(*end) || (end.ends_with('.') && within(end));
        COMPUTED.iter().chain(self.unused).any(fits)
    }
}
