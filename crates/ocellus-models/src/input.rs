//! How pictures and texts go into a model.

use ocellus_media::PixelRecipe;
use ocellus_text::TextForm;

/// How a model wants its pictures and texts. The default is a model that holds conversations about pictures of any size.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    pub visual: VisualFormat,
    /// What stands around a text that is no conversation, how long it may be, how it is cleaned.
    pub text: TextForm,
    /// `None` = conversations, formatted by the checkpoint's chat template.
    pub prompts: Option<TaskPrompts>,
    /// Ids of tokens that end an answer, where they are not those of the checkpoint's `generation_config.json`.
    pub end_tokens: Vec<u32>,
}

impl Default for InputSpec {
    fn default() -> Self {
        Self {
            visual: VisualFormat::VisualTokens,
            text: TextForm::BARE,
            prompts: None,
            end_tokens: Vec::new(),
        }
    }
}

/// The form in which a model takes pictures.
#[derive(Clone, Debug, PartialEq)]
pub enum VisualFormat {
    /// Pictures of any size as visual tokens of the prompt, by the packed recipe of the checkpoint's `preprocessor_config.json`.
    VisualTokens,
    /// Pictures as planes by this recipe, which the checkpoint's files may change, cut into patches.
    Planes(PixelRecipe),
    /// Regions that a detector found, each with `width` features.
    Regions { width: usize },
}

/// Prompts of a generator that holds no conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskPrompts {
    /// What stands before a caption; empty = it writes no captions.
    pub caption: &'static str,
    /// What stands around a question, whose place is `{}`.
    pub question: &'static str,
}
