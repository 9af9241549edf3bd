//! Token ids and rendered prompts against the reference implementation.

mod support;

use ocellus_text::{Conversation, Message, Part, RenderOptions, Role, Special, Template, expand_image_pads};
use serde_json::Value;
use support::{Case, qwen};

#[test]
fn token_ids() {
    let case = Case::open("qwen2_5_vl-tokens");
    let strings = case.options["strings"].as_array().unwrap();
    assert_eq!(strings.len(), case.count());
    for (i, string) in strings.iter().enumerate() {
        let text = string.as_str().unwrap();
        assert_eq!(qwen().encode(text).unwrap(), case.ids(i), "string {i}: {text:?}");
    }
}

#[test]
fn ids_decode_to_the_composed_text() {
    // The reference normalises to NFC; ids of the strings that are in NFC already give the very string back.
    let case = Case::open("qwen2_5_vl-tokens");
    let mut equal = 0;
    for (i, string) in case.options["strings"].as_array().unwrap().iter().enumerate() {
        let text = string.as_str().unwrap();
        let decoded = qwen().decode_with(&case.ids(i), Special::Keep).unwrap();
        assert_eq!(
            qwen().encode(&decoded).unwrap(),
            case.ids(i),
            "string {i}: {decoded:?}"
        );
        equal += usize::from(decoded == text);
    }
    assert!(equal >= 39, "only {equal} of 43 strings came back unchanged");
}

#[test]
fn rendered_prompts() {
    let case = Case::open("qwen2_5_vl-chat-template");
    let template = Template::chatml_vision(Some("You are a helpful assistant."));
    let conversations = case.options["conversations"].as_array().unwrap();
    assert_eq!(conversations.len(), case.count());
    for (i, item) in conversations.iter().enumerate() {
        let options = RenderOptions {
            add_generation_prompt: item["add_generation_prompt"].as_bool().unwrap(),
            add_vision_id: item["add_vision_id"].as_bool().unwrap(),
        };
        let conversation =
            Conversation::new(item["messages"].as_array().unwrap().iter().map(message).collect());
        let rendered = template.render(&conversation, &options).unwrap();
        assert_eq!(rendered, item["rendered"].as_str().unwrap(), "{}", item["name"]);
        let ids = qwen().encode(&rendered).unwrap();
        assert_eq!(ids, case.ids(i), "{}", item["name"]);

        let pad = qwen().token_id("<|image_pad|>").unwrap();
        let images = conversation.image_count();
        let expanded = expand_image_pads(&ids, pad, &vec![4; images]).unwrap();
        assert_eq!(expanded.len(), ids.len() + 3 * images, "{}", item["name"]);
    }
}

fn message(value: &Value) -> Message {
    let role = match value["role"].as_str().unwrap() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => panic!("role {other}"),
    };
    let content = match &value["content"] {
        Value::String(text) => vec![Part::Text(text.clone())],
        parts => parts.as_array().unwrap().iter().map(part).collect(),
    };
    Message::new(role, content)
}

fn part(value: &Value) -> Part {
    match value["type"].as_str().unwrap() {
        "text" => Part::Text(value["text"].as_str().unwrap().to_string()),
        "image" | "image_url" => Part::Image,
        "video" => Part::Video,
        other => panic!("part {other}"),
    }
}
