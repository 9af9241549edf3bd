//! Conversations in the JSON form that references take.

use ocellus_text::{Conversation, Message, Part, Role};
use serde_json::Value;

/// A conversation in the common JSON form; `None` for a role or a kind of part that we do not know.
pub fn conversation(value: &Value) -> Option<Conversation> {
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
        assert_eq!(conversation(&value), Some(Conversation::new(expected)));
    }

    #[test]
    fn what_we_do_not_know_is_not_guessed() {
        for value in [
            json!({}),
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            json!({"messages": [{"role": "user", "content": 3}]}),
            json!({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}),
        ] {
            assert_eq!(conversation(&value), None, "{value}");
        }
    }
}
