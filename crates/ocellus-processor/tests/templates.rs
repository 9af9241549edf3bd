//! Chat templates in a checkpoint's files.

use std::fs;

use ocellus_processor::TextFiles;
use ocellus_text::{Conversation, RenderOptions};

#[test]
fn templates_are_found_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, content: &str| fs::write(dir.path().join(file), content).unwrap();
    let rendered = || {
        let template = TextFiles::Folder(dir.path().into()).template().unwrap()?;
        Some(
            template
                .render(&Conversation::about_images(1, "p"), &RenderOptions::default())
                .unwrap(),
        )
    };
    assert_eq!(rendered(), None);
    write(
        "tokenizer_config.json",
        r#"{"bos_token": {"content": "<s>"}, "eos_token": "</s>"}"#,
    );
    assert_eq!(rendered(), None);
    write(
        "tokenizer_config.json",
        r#"{"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": "{{ bos_token }}config{{ eos_token }}"}"#,
    );
    assert_eq!(rendered().as_deref(), Some("<s>config</s>"));
    write(
        "tokenizer_config.json",
        r#"{"bos_token": "<s>", "chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "named"}]}"#,
    );
    assert_eq!(rendered().as_deref(), Some("named"));
    write("chat_template.jinja", "{{ bos_token }}jinja");
    assert_eq!(rendered().as_deref(), Some("<s>jinja"));
    write("chat_template.json", r#"{"chat_template": "json"}"#);
    assert_eq!(rendered().as_deref(), Some("json"));
    write("processor_config.json", r#"{"chat_template": "processor"}"#);
    assert_eq!(rendered().as_deref(), Some("processor"));
}

#[test]
fn template_files_that_cannot_be_used() {
    for (file, content, expected) in [
        (
            "tokenizer_config.json",
            r#"{"chat_template": [{"name": "a", "template": ""}, {"name": "b", "template": ""}]}"#,
            "none is called `default`",
        ),
        (
            "tokenizer_config.json",
            r#"{"chat_template": 3}"#,
            "tokenizer_config.json is damaged",
        ),
        (
            "chat_template.json",
            "nothing",
            "chat_template.json is not valid JSON",
        ),
        ("chat_template.jinja", "{% for %}", "not valid (line 1)"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(file), content).unwrap();
        let message = TextFiles::Folder(dir.path().into())
            .template()
            .expect_err(content)
            .to_string();
        assert!(message.contains(expected), "{file} {content}: {message}");
    }
}
