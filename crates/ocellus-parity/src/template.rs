//! Task `template`: conversations to prompt text, and that to ids.
//!
//! The text is part of `options`, not of the tensors; each conversation has a row of our own, `rendered/<number>`, in
//! which the bytes are compared.

use ocellus_models::input::DEFAULT_SYSTEM;
use ocellus_session::TextFiles;
use ocellus_text::{RenderOptions, Template};
use serde_json::Value;

use crate::array::Array;
use crate::case::Case;
use crate::compare::compare;
use crate::conversation::conversation;
use crate::error::CaseError;
use crate::produced::Produced;
use crate::vocabulary::Vocabularies;
use crate::{tokens, vocabulary};

pub fn run(case: &Case, vocabularies: &Vocabularies, out: &mut Produced) -> Result<(), CaseError> {
    let wrong = || case.wrong_option("conversations", "a list of conversations");
    let conversations = case
        .option("conversations", "a list of conversations")?
        .as_array()
        .ok_or_else(wrong)?;
    let template = match case.model().is_dir() {
        true => {
            let found = TextFiles::Folder(case.model()).template();
            found.map_err(|error| CaseError::Refused(error.to_string()))?
        }
        false => None,
    };
    let template = template.unwrap_or_else(|| Template::chatml_vision(DEFAULT_SYSTEM));
    let mut prompts = Vec::with_capacity(conversations.len());
    for (i, value) in conversations.iter().enumerate() {
        let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
        let options = RenderOptions {
            add_generation_prompt: flag("add_generation_prompt"),
            add_vision_id: flag("add_vision_id"),
        };
        let conversation = conversation(value).ok_or_else(wrong)?;
        let prompt = template.render(&conversation, &options)?;
        let expected = value.get("rendered").and_then(Value::as_str).ok_or_else(wrong)?;
        out.also(compare(
            &format!("rendered/{i}"),
            &bytes(expected),
            &bytes(&prompt),
            0.0,
            0.0,
        ));
        prompts.push(prompt);
    }
    tokens::encode(
        &vocabulary::read(case, vocabularies)?,
        prompts.iter().map(String::as_str),
        out,
    )
}

fn bytes(text: &str) -> Array {
    Array::integers([text.len()], text.bytes().map(i64::from).collect())
}
