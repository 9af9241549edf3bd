//! How a conversation becomes the ids of a prompt.

use ocellus_models::{Grid, Slot, Vlm};
use ocellus_text::{
    CellRows, Conversation, Instruct, RenderOptions, Template, Tokenizer, replace_image_pads,
};

use crate::error::Failure;

/// The manner of a checkpoint.
pub enum Speech {
    /// By a chat template, the checkpoint's own or the published one of its kind.
    Template(Box<Template>),
    /// Between `[INST]` marks, without a template.
    Marks,
}

impl Speech {
    /// What stands in for a checkpoint without a template: the manner that its vocabulary was made for.
    pub fn without_template(tokenizer: &Tokenizer) -> Self {
        let has = |tokens: &[&str]| tokens.iter().all(|t| tokenizer.token_id(t).is_some());
        if has(&["[INST]", "[/INST]"]) {
            Self::Marks
        } else if has(&["<img>", "</img>"]) {
            Self::Template(Box::new(Template::chatml_addressed()))
        } else {
            Self::Template(Box::new(Template::chatml_vision()))
        }
    }

    /// Ids of a conversation about pictures of these grids.
    pub fn ids(
        &self,
        vlm: &dyn Vlm,
        tokenizer: &Tokenizer,
        conversation: &Conversation,
        grids: &[Grid],
    ) -> Result<Vec<u32>, Failure> {
        let template = match self {
            Self::Template(template) => template,
            Self::Marks => {
                let rows = |g: &Grid| CellRows {
                    rows: g.h,
                    columns: g.w,
                };
                let rows: Vec<CellRows> = grids.iter().map(rows).collect();
                return Ok(Instruct::new(tokenizer)?.encode(conversation, &rows)?);
            }
        };
        let ids = tokenizer.encode(&template.render(conversation, &RenderOptions::default())?)?;
        let spelled: Vec<Vec<u32>> = grids.iter().map(|g| vlm.placeholder(g)).collect();
        let places = |ids: &[u32]| vlm.slots(ids).iter().filter(|s| **s == Slot::Image).count();
        // A vocabulary may leave the whole room of a picture by itself.
        if places(&ids) == spelled.iter().map(|s| places_of(vlm, s)).sum::<usize>() && !grids.is_empty() {
            return Ok(ids);
        }
        match vlm.facts().image_token {
            Some(token) => Ok(replace_image_pads(&ids, token, &spelled)?),
            None => Ok(ids),
        }
    }
}

/// Cells among the tokens that stand for a picture.
fn places_of(vlm: &dyn Vlm, spelled: &[u32]) -> usize {
    let token = vlm.facts().image_token;
    spelled.iter().filter(|id| Some(**id) == token).count()
}
