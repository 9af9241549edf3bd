//! Addresses of pictures as byte values, against the reference case.

mod support;

use ocellus_text::{Special, TextError, Tokenizer};
use std::sync::LazyLock;
use support::Case;

/// The published rank file, read as a folder.
static PICTURES: LazyLock<Tokenizer> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("any.tiktoken"), support::rank_file()).unwrap();
    Tokenizer::from_dir(dir.path()).unwrap()
});

#[test]
fn ids_are_the_references() {
    let case = Case::open("qwen_vl-tokens");
    let strings = case.options["strings"].as_array().unwrap();
    assert_eq!(strings.len(), case.count());
    for (token, id) in case.options["special_tokens"].as_object().unwrap() {
        assert_eq!(PICTURES.token_id(token).map(u64::from), id.as_u64(), "{token}");
    }
    let mut equal = 0;
    for (i, string) in strings.iter().enumerate() {
        let text = string.as_str().unwrap();
        assert_eq!(
            PICTURES.encode(text).unwrap(),
            case.ids(i),
            "string {i}: {text:?}"
        );
        let decoded = PICTURES.decode_with(&case.ids(i), Special::Keep).unwrap();
        assert_eq!(
            PICTURES.encode(&decoded).unwrap(),
            case.ids(i),
            "string {i}: {decoded:?}"
        );
        let mut detokenizer = PICTURES.detokenizer(Special::Keep);
        let mut streamed = String::new();
        for id in case.ids(i) {
            streamed += &detokenizer.push(id).unwrap().unwrap_or_default();
        }
        assert_eq!(streamed + &detokenizer.finish().unwrap(), decoded, "string {i}");
        equal += usize::from(decoded == text);
    }
    assert!(equal >= 39, "only {equal} of 43 strings came back unchanged");
}

#[test]
fn spans_have_a_length_and_an_end() {
    let tokenizer = |ids| {
        let special = [("<a>", 256), ("</a>", 257), ("<p>", 258)].map(|(t, id)| (t.to_string(), id));
        let encode = |byte: u8| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [byte]);
        let ranks: String = (0..=255u8)
            .map(|byte| format!("{} {byte}\n", encode(byte)))
            .collect();
        Tokenizer::from_ranks(ranks.as_bytes(), &special)
            .unwrap()
            .with_byte_spans("<a>", "</a>", "<p>", ids)
    };
    let four = tokenizer(4).unwrap();
    for (text, expected) in [
        ("x<a>é</a>y", vec![120, 256, 0xC3, 0xA9, 258, 258, 257, 121]),
        ("<a></a>", vec![256, 258, 258, 258, 258, 257]),
        ("<a>123</a></a>", vec![256, 49, 50, 51, 258, 257, 257]),
    ] {
        assert_eq!(four.encode(text).unwrap(), expected, "{text}");
        assert_eq!(four.decode_with(&expected, Special::Keep).unwrap(), text);
    }
    let message = |text: &str| four.encode(text).expect_err(text).to_string();
    assert!(
        message("<a>1234</a>").contains("4 bytes, more than the 3"),
        "{}",
        message("<a>1234</a>")
    );
    assert!(
        message("<a>1<a>").contains("has no `</a>`"),
        "{}",
        message("<a>1<a>")
    );
    assert_eq!(four.encode_plain("<a>").unwrap(), [60, 97, 62]);
    assert_eq!(
        four.with_span_ids(2).unwrap().encode("<a>1</a>").unwrap(),
        [256, 49, 258, 257]
    );
    assert!(matches!(tokenizer(0), Err(TextError::SpanLength)));
    let none = Tokenizer::from_json(Tokenizer::characters(&['a'], &[])).unwrap();
    assert!(matches!(
        none.with_byte_spans("<a>", "</a>", "<p>", 4),
        Err(TextError::NoToken { .. })
    ));
}
