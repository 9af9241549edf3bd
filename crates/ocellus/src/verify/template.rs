//! Task `template`: conversations to prompt text, and that to ids.
//!
//! The text is part of `options`, not of the tensors; each conversation has a row of our own, `rendered/<number>`, in
//! which the bytes are compared.

use std::path::PathBuf;

use ocellus_text::{Conversation, Message, Part, RenderOptions, Role, Template};
use serde_json::Value;

use super::array::Array;
use super::case::Case;
use super::compare::compare;
use super::error::CaseError;
use super::{Produced, tokens, vocabulary};

pub fn run(case: &Case, vocabularies: &[PathBuf], out: &mut Produced) -> Result<(), CaseError> {
    let wrong = || case.wrong_option("conversations", "a list of conversations");
    let conversations = case
        .option("conversations", "a list of conversations")?
        .as_array()
        .ok_or_else(wrong)?;
    let template = match case.model().is_dir() {
        true => Template::from_dir(&case.model())?,
        false => None,
    };
    let template = template.unwrap_or_else(Template::chatml_vision);
    let mut prompts = Vec::with_capacity(conversations.len());
    for (i, value) in conversations.iter().enumerate() {
        let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
        let options = RenderOptions {
            add_generation_prompt: flag("add_generation_prompt"),
            add_vision_id: flag("add_vision_id"),
        };
        let conversation = read(value).ok_or_else(wrong)?;
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

/// A conversation in the common JSON form; `None` for a role or a kind of part that we do not know.
fn read(value: &Value) -> Option<Conversation> {
    let messages = value.get("messages")?.as_array()?.iter().map(message);
    Some(Conversation::new(messages.collect::<Option<_>>()?))
}

/// One turn.
pub fn message(value: &Value) -> Option<Message> {
    let role = value.get("role")?.as_str()?;
    let role = [Role::System, Role::User, Role::Assistant]
        .into_iter()
        .find(|r| r.name() == role)?;
    match value.get("content")? {
        Value::String(text) => Some(Message::text(role, text)),
        Value::Array(parts) => Some(Message::new(role, parts.iter().map(part).collect::<Option<_>>()?)),
        _ => None,
    }
}

fn part(value: &Value) -> Option<Part> {
    match value.get("type")?.as_str()? {
        "text" => Some(Part::Text(value.get("text")?.as_str()?.to_owned())),
        "image" | "image_url" => Some(Part::Image),
        "video" | "video_url" => Some(Part::Video),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conversations_in_every_form() {
        let value = json!({"messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "image", "image": "a.png"},
                {"type": "image_url", "image_url": {"url": "http://x/y.png"}},
                {"type": "video", "video": "v.mp4"},
                {"type": "text", "text": "what is this?"},
            ]},
        ]});
        let user = vec![Part::Image, Part::Image, Part::Video, Part::from("what is this?")];
        let expected = vec![
            Message::text(Role::System, "be brief"),
            Message::new(Role::User, user),
        ];
        assert_eq!(read(&value), Some(Conversation::new(expected)));
    }

    #[test]
    fn what_we_do_not_know_is_not_guessed() {
        for value in [
            json!({}),
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            json!({"messages": [{"role": "user", "content": 3}]}),
            json!({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}),
        ] {
            assert_eq!(read(&value), None, "{value}");
        }
    }
}
