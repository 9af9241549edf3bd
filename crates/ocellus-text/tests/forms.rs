//! Text and conversations in the forms that models want, over the vocabularies of the goldens.

mod support;

use ocellus_text::{
    Cleaning, Conversation, Instruct, Message, Part, Role, TextError, TextForm, VisualTokenRows,
};
use serde_json::Value;
use support::kinds::{golden, ids, open};

/// A conversation of the golden and the cells of its pictures.
fn chat(value: &Value) -> (Conversation, Vec<VisualTokenRows>) {
    let mut cells = Vec::new();
    let mut part = |value: &Value| match value["cells"].as_array() {
        Some(size) => {
            let side = |i: usize| size[i].as_u64().unwrap() as usize;
            cells.push(VisualTokenRows {
                columns: side(0),
                rows: side(1),
            });
            Part::Image
        }
        None => Part::from(value["text"].as_str().unwrap()),
    };
    let mut message = |value: &Value| {
        let role = [Role::System, Role::User, Role::Assistant];
        let role = role.into_iter().find(|r| value["role"] == r.name()).unwrap();
        match &value["content"] {
            Value::String(text) => Message::text(role, text),
            parts => Message::new(role, parts.as_array().unwrap().iter().map(&mut part).collect()),
        }
    };
    let messages = value.as_array().unwrap().iter().map(&mut message).collect();
    (Conversation::new(messages), cells)
}

#[test]
fn conversations_between_marks() {
    let (tokenizer, golden) = (open("tekken"), golden("tekken"));
    let instruct = Instruct::new(&tokenizer).unwrap();
    let (chats, expected) = (
        golden["chats"].as_array().unwrap(),
        golden["chat_ids"].as_array().unwrap(),
    );
    assert_eq!(chats.len(), expected.len());
    for (value, expected) in chats.iter().zip(expected) {
        let (conversation, cells) = chat(value);
        assert_eq!(
            instruct.encode(&conversation, &cells).unwrap(),
            ids(expected),
            "{value}"
        );
    }
}

#[test]
fn conversations_that_have_no_form() {
    let tokenizer = open("tekken");
    let instruct = Instruct::new(&tokenizer).unwrap();
    let cell = VisualTokenRows { rows: 1, columns: 1 };
    let cases: &[(&str, Role, Vec<Part>, &[VisualTokenRows])] = &[
        ("1 pictures", Role::User, vec![Part::Image], &[]),
        ("0 pictures", Role::User, vec![], &[cell]),
        ("a video", Role::User, vec![Part::Video], &[]),
        (
            "a picture in an answer",
            Role::Assistant,
            vec![Part::Image],
            &[cell],
        ),
        ("an answer without text", Role::Assistant, vec![], &[]),
        (
            "a picture in a system message",
            Role::System,
            vec![Part::Image],
            &[cell],
        ),
        (
            "a picture without cells",
            Role::User,
            vec![Part::Image],
            &[VisualTokenRows { rows: 0, columns: 3 }],
        ),
        (
            "more than",
            Role::User,
            vec![Part::Image],
            &[VisualTokenRows {
                rows: usize::MAX,
                columns: usize::MAX,
            }],
        ),
    ];
    for (expected, role, content, cells) in cases {
        let conversation = Conversation::new(vec![Message::new(*role, content.clone())]);
        let error = instruct
            .encode(&conversation, cells)
            .expect_err(expected)
            .to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let other = open("word_end");
    assert!(matches!(Instruct::new(&other), Err(TextError::NoToken { .. })));
}

#[test]
fn forms_of_text() {
    const BARE: TextForm = TextForm::BARE;
    let first_only = TextForm {
        first: Some("[CLS]"),
        cleaning: Cleaning::Caption,
        ..BARE
    };
    let both = TextForm {
        first: Some("[CLS]"),
        last: Some("[SEP]"),
        ..BARE
    };
    let full = TextForm {
        max_tokens: Some(8),
        pad: Some("[PAD]"),
        ..both
    };
    let cut = TextForm {
        max_tokens: Some(4),
        ..both
    };
    let ends = TextForm {
        first: Some("<|startoftext|>"),
        last: Some("<|endoftext|>"),
        max_tokens: Some(77),
        ..BARE
    };
    for (kind, form, text, expected) in [
        (
            "word_piece-uncased",
            first_only,
            "A cat!",
            vec!["[CLS]", "a", "cat"],
        ),
        (
            "word_piece-uncased",
            both,
            "A cat!",
            vec!["[CLS]", "a", "cat", "!", "[SEP]"],
        ),
        ("word_piece-uncased", both, "", vec!["[CLS]", "[SEP]"]),
        (
            "word_piece-uncased",
            cut,
            "a cat a cat",
            vec!["[CLS]", "a", "cat", "[SEP]"],
        ),
        (
            "word_piece-uncased",
            both,
            "[SEP]",
            vec!["[CLS]", "[", "se", "##p", "]", "[SEP]"],
        ),
        (
            "word_piece-uncased",
            full,
            "a cat",
            vec!["[CLS]", "a", "cat", "[SEP]", "[PAD]", "[PAD]", "[PAD]", "[PAD]"],
        ),
        (
            "word_end",
            ends,
            "a a",
            vec!["<|startoftext|>", "a</w>", "a</w>", "<|endoftext|>"],
        ),
        (
            "sentence_piece-unigram",
            TextForm {
                last: Some("</s>"),
                ..BARE
            },
            "a",
            vec!["▁a", "</s>"],
        ),
        (
            "byte_level",
            TextForm {
                first: Some("</s>"),
                ..BARE
            },
            "a",
            vec!["</s>", "a"],
        ),
    ] {
        let tokenizer = open(kind);
        let found = form.ids(&tokenizer, text).unwrap();
        let found: Vec<String> = found.into_iter().map(|id| tokenizer.token(id).unwrap()).collect();
        if text == "[SEP]" {
            assert_eq!(found.iter().filter(|t| *t == "[SEP]").count(), 1, "{found:?}");
        } else {
            assert_eq!(found, expected, "{kind} {text:?}");
        }
    }
    let tokenizer = open("word_end");
    let long = ends.ids(&tokenizer, &"a ".repeat(200)).unwrap();
    assert_eq!(
        (long.len(), long[76]),
        (77, tokenizer.token_id("<|endoftext|>").unwrap())
    );
    assert!(matches!(
        both.ids(&tokenizer, "a"),
        Err(TextError::NoToken { .. })
    ));
    let none = TextForm {
        max_tokens: Some(1),
        ..ends
    };
    assert!(matches!(none.ids(&tokenizer, "a"), Err(TextError::NoRoom { .. })));
}
