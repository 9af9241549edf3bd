//! What the program knows of a family without loading anything.

use ocellus_media::PixelRecipe;
use ocellus_nn::Params;
use serde_json::Value;

use crate::error::ModelError;
use crate::learner::Learner;
use crate::model::Model;
use crate::plan::Shape;
use crate::reference::Trace;

/// Builds something from a config and its tensors.
pub type Load<T> = fn(&Value, &Params) -> Result<T, ModelError>;

/// Reads the sizes of a model from its config.
pub type ReadShape = fn(&Value) -> Result<Shape, ModelError>;

/// A family of checkpoints that share a config format and an architecture.
pub struct Family {
    /// The `model_type` of its configs.
    pub id: &'static str,
    /// Class names in the `architectures` field of its configs.
    pub architectures: &'static [&'static str],
    /// Other names that people and files use for it.
    pub also: &'static [&'static str],
    /// Whether a config without a known `model_type` or architecture is one of its own.
    pub claims: fn(&Value) -> bool,
    /// What its models can do from the command line.
    pub tasks: &'static [Task],
    /// Reads the config and takes the tensors.
    pub load: Load<Box<dyn Model>>,
    /// Reads the config alone: sizes for planning, and facts without weights. `None` = its models cannot be planned.
    pub shape: Option<ReadShape>,
    /// Loads a model that replays the reference forward pass. `None` = its models are generators with pictures in their prompts,
    /// which are called without a description of their own.
    pub trace: Option<Load<Box<dyn Trace>>>,
    /// Loads a model with what its training objective needs, from a config and tensors that may be new. It gives `None` for
    /// checkpoints without these parts. `None` here = its models are trained as generators.
    pub learner: Option<Load<Option<Box<dyn Learner>>>>,
    /// Whether training changes the tensor of this name; the others stay frozen.
    pub trains: fn(&str) -> bool,
    /// Names of the processors that make its pictures into planes, with their published recipes.
    pub processors: &'static [(&'static str, PixelRecipe)],
    /// Ends of the names of tensors that its published files carry and nothing computes with; with a dot at the end, whole
    /// parts of a model.
    pub unused: &'static [&'static str],
}

/// What a family can do from the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Ask,
    Chat,
    Ocr,
    Caption,
    Score,
    Embed,
    Classify,
    /// Words, or regions, that a mask stands for.
    Fill,
    /// Region features of a picture.
    Detect,
}

impl Task {
    /// The command.
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

/// Buffers that old files carry and that are computed instead.
const COMPUTED: &[&str] = &["rotary_emb.inv_freq", "rotary_pos_emb.inv_freq", "position_ids"];

impl Family {
    /// Whether a tensor of this name may be left over.
    pub fn ignores(&self, name: &str) -> bool {
        let within = |part: &str| name.starts_with(part) || name.contains(&format!(".{part}"));
        let fits = |end: &&str| name.ends_with(*end) || (end.ends_with('.') && within(end));
        COMPUTED.iter().chain(self.unused).any(fits)
    }
}
