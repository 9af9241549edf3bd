//! Tokenizers and templates from checkpoint folders, and the character tokenizer.

mod support;

use ocellus_text::{Special, TextError, Tokenizer};
use serde_json::json;
use std::fs;
use std::path::Path;

#[test]
fn characters_have_one_id_each() {
    let json = Tokenizer::characters(&['a', 'é', ' ', '你', 'a', '😀'], &["<|pad|>", "<|end|>"]);
    let tokenizer = Tokenizer::from_json(&json).unwrap();
    for (token, id) in [
        ("<|pad|>", 0),
        ("<|end|>", 1),
        ("<|unk|>", 2),
        ("a", 3),
        ("é", 4),
        (" ", 5),
        ("你", 6),
        ("😀", 7),
    ] {
        assert_eq!(tokenizer.token_id(token), Some(id), "{token}");
        assert_eq!(tokenizer.is_special(id), id < 3, "{token}");
    }
    assert_eq!(tokenizer.vocab_size(), 8);
    assert_eq!(
        tokenizer.encode("a 你e\u{301}<|end|>z😀ü").unwrap(),
        [3, 5, 6, 4, 1, 2, 7, 2]
    );
    assert_eq!(tokenizer.decode(&[3, 5, 6, 4, 1, 3, 3]).unwrap(), "a 你éaa");
    assert_eq!(
        tokenizer.decode_with(&[3, 2, 1], Special::Keep).unwrap(),
        "a<|unk|><|end|>"
    );
    assert_eq!(tokenizer.encode("").unwrap(), [0u32; 0]);
    let placed =
        Tokenizer::from_json(Tokenizer::characters(&['a'], &["<|unk|>", "<|pad|>", "<|pad|>"])).unwrap();
    assert_eq!(
        (
            placed.token_id("<|unk|>"),
            placed.token_id("<|pad|>"),
            placed.token_id("a")
        ),
        (Some(0), Some(1), Some(2))
    );
}

#[test]
fn a_folder_with_tokenizer_json() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("tokenizer.json"),
        Tokenizer::characters(&['x'], &[]),
    )
    .unwrap();
    fs::write(dir.path().join("vocab.json"), "not looked at").unwrap();
    assert_eq!(Tokenizer::from_dir(dir.path()).unwrap().encode("x").unwrap(), [1]);
}

#[test]
fn truncation_and_padding_of_the_file_are_not_applied() {
    let mut json: serde_json::Value = serde_json::from_str(&Tokenizer::characters(&['x'], &[])).unwrap();
    json["truncation"] =
        json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    json["padding"] = json!({"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "<|unk|>"});
    let tokenizer = Tokenizer::from_json(json.to_string()).unwrap();
    assert_eq!(tokenizer.encode("xxxx").unwrap(), [1, 1, 1, 1]);
}

/// vocab.json and merges.txt with the bytes in the byte alphabet, "ab", "abc" and " a".
fn write_vocabulary(dir: &Path) {
    let mut vocabulary = serde_json::Map::new();
    let shifted = (0u32..256).filter(|b| !matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF));
    let printable = (0u32..256).filter(|b| matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF));
    for (i, _) in shifted.enumerate() {
        vocabulary.insert(char::from_u32(0x100 + i as u32).unwrap().to_string(), i.into());
    }
    for byte in printable {
        vocabulary.insert(char::from_u32(byte).unwrap().to_string(), vocabulary.len().into());
    }
    for token in ["ab", "abc", "Ġa"] {
        vocabulary.insert(token.to_string(), vocabulary.len().into());
    }
    fs::write(
        dir.join("vocab.json"),
        serde_json::Value::from(vocabulary).to_string(),
    )
    .unwrap();
    fs::write(dir.join("merges.txt"), "#version: 0.2\na b\nab c\nĠ a\n").unwrap();
}

#[test]
fn a_folder_with_vocab_and_merges() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Tokenizer::from_dir(dir.path()),
        Err(TextError::NoTokenizer { .. })
    ));
    write_vocabulary(dir.path());
    let config = json!({"added_tokens_decoder": {
        "300": {"content": "<|end|>", "special": true, "normalized": false, "lstrip": false, "rstrip": false, "single_word": false},
        "259": {"content": "<tool>", "special": false, "normalized": false}
    }});
    fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    let a = tokenizer.token_id("a").unwrap();
    assert_eq!(
        tokenizer.encode("abc a<|end|><tool>a").unwrap(),
        [257, 258, 300, 259, a]
    );
    assert_eq!(
        tokenizer.decode(&[257, 300, 259]).unwrap(),
        "abc<tool>",
        "only special tokens are skipped"
    );
    assert_eq!(
        tokenizer.decode(&tokenizer.encode("Ω 你\u{0}").unwrap()).unwrap(),
        "Ω 你\u{0}"
    );

    fs::write(dir.path().join("tokenizer_config.json"), "{}").unwrap();
    fs::write(dir.path().join("added_tokens.json"), r#"{"<|old|>": 280}"#).unwrap();
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    assert_eq!(tokenizer.encode("<|old|>").unwrap(), [280]);
}

#[test]
fn damaged_folders_name_the_file() {
    for (file, content, expected) in [
        ("vocab.json", "{\"a\": -1}", "vocab.json is damaged"),
        ("vocab.json", "{\"a\": 1}", "a"),
        ("merges.txt", "a b c\n", "line 1: expected two pieces"),
        ("merges.txt", "x nothing\n", "damaged"),
        ("tokenizer_config.json", "[", "tokenizer_config.json is damaged"),
        (
            "tokenizer_config.json",
            r#"{"added_tokens_decoder": {"0": {"content": "<x>", "special": true}}}"#,
            "belongs to",
        ),
        ("tokenizer.json", "{}", "tokenizer.json is damaged"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write_vocabulary(dir.path());
        fs::write(dir.path().join(file), content).unwrap();
        let message = Tokenizer::from_dir(dir.path()).expect_err(content).to_string();
        assert!(message.contains(expected), "{file} {content}: {message}");
    }
}

#[test]
fn a_written_vocabulary_agrees_with_the_rank_file() {
    // The same vocabulary in another form: what the tokenizer knows, written as vocab.json and merges.txt, read again.
    let dir = tempfile::tempdir().unwrap();
    write_vocabulary(dir.path());
    let from_files = Tokenizer::from_dir(dir.path()).unwrap();
    for text in ["abcab abc", "ab ab", "aabbcc", "you're 3.14\n\n  x"] {
        let ids = from_files.encode(text).unwrap();
        assert_eq!(from_files.decode(&ids).unwrap(), text);
        let words = |tokenizer: &Tokenizer| tokenizer.encode(text).unwrap().len();
        assert!(words(support::qwen()) <= words(&from_files), "{text}");
    }
}
