//! How a conversation becomes the ids of a prompt.

use ocellus_models::{Grid, Slot, Vlm};
use ocellus_text::{
    Conversation, Instruct, RenderOptions, Template, Tokenizer, VisualTokenRows, replace_image_pads,
};

use crate::error::Result;

/// The prompt format of a checkpoint.
pub enum PromptFormatter {
    /// By a chat template, the checkpoint's own or the published one of its kind.
    Template(Box<Template>),
    /// Between `[INST]` tokens, without a template.
    Instruct,
}

impl PromptFormatter {
    /// The format of a checkpoint without a template: the one its vocabulary was made for.
    ///
    /// `system` is what a conversation without a system message opens with.
    pub fn without_template(tokenizer: &Tokenizer, system: Option<&str>) -> Self {
        let has = |tokens: &[&str]| tokens.iter().all(|t| tokenizer.token_id(t).is_some());
        if has(&["[INST]", "[/INST]"]) {
            Self::Instruct
        } else if has(&["<img>", "</img>"]) {
            Self::Template(Box::new(Template::chatml_addressed()))
        } else {
            Self::Template(Box::new(Template::chatml_vision(system)))
        }
    }

    /// Ids of a conversation about pictures of these grids, the placeholder of each picture expanded. A special token that is
    /// spelt in a text of the conversation is text.
    ///
    /// # Errors
    /// A conversation that the format does not take, and one with another number of pictures.
    pub fn ids(
        &self,
        vlm: &dyn Vlm,
        tokenizer: &Tokenizer,
        conversation: &Conversation,
        grids: &[Grid],
    ) -> Result<Vec<u32>> {
        let template = match self {
            Self::Template(template) => template,
            Self::Instruct => {
                let rows = |g: &Grid| VisualTokenRows {
                    rows: g.h,
                    columns: g.w,
                };
                let rows: Vec<VisualTokenRows> = grids.iter().map(rows).collect();
                return Ok(Instruct::new(tokenizer)?.encode(conversation, &rows)?);
            }
        };
        let ids = template.encode(tokenizer, conversation, &RenderOptions::default())?;
        let expanded: Vec<Vec<u32>> = grids.iter().map(|g| vlm.placeholder(g)).collect();
        let places = |ids: &[u32]| vlm.slots(ids).iter().filter(|s| **s == Slot::Image).count();
        let token = vlm.facts().image_token;
        let of_tokens = |ids: &Vec<u32>| ids.iter().filter(|id| Some(**id) == token).count();
        // Some tokenizers expand the image placeholder themselves.
        if places(&ids) == expanded.iter().map(of_tokens).sum::<usize>() && !grids.is_empty() {
            return Ok(ids);
        }
        match token {
            Some(token) => Ok(replace_image_pads(&ids, token, &expanded)?),
            None => Ok(ids),
        }
    }
}
