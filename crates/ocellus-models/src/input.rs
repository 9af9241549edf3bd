//! The form in which pictures and texts enter a model.

use ocellus_media::{PixelRecipe, Recipe};
use ocellus_text::TextForm;

/// The input that a model expects. The default is a model for conversations about pictures of any size.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    pub visual: VisualFormat,
    /// How a text that is no conversation is prepared: tokens around it, maximum length, cleaning.
    pub text: TextForm,
    /// `None` = conversations, formatted by the checkpoint's chat template.
    pub prompts: Option<TaskPrompts>,
    /// What a conversation without a system message opens with, where a checkpoint has no chat template of its own.
    pub system: Option<&'static str>,
    /// Ids that end an answer, where they differ from the checkpoint's `generation_config.json`.
    pub end_tokens: Vec<u32>,
}

/// The system message that most of these models were trained with.
pub const DEFAULT_SYSTEM: Option<&str> = Some("You are a helpful assistant.");

impl Default for InputSpec {
    fn default() -> Self {
        Self {
            visual: VisualFormat::VisualTokens(Recipe::default()),
            text: TextForm::BARE,
            prompts: None,
            system: DEFAULT_SYSTEM,
            end_tokens: Vec::new(),
        }
    }
}

/// The form in which a model takes pictures.
#[derive(Clone, Debug, PartialEq)]
pub enum VisualFormat {
    /// Pictures of any size become visual tokens of the prompt, by this recipe (the checkpoint's files may override it).
    VisualTokens(Recipe),
    /// Pictures become planes by this recipe (the checkpoint's files may override it), then patches.
    Planes(PixelRecipe),
    /// Regions of a detector with `width` features each.
    Regions { width: usize },
}

/// Prompts of a generator that is not trained for conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskPrompts {
    /// The text before a caption; empty = the model writes no captions.
    pub caption: &'static str,
    /// The text around a question; `{}` is replaced by the question.
    pub question: &'static str,
}
