//! Streaming gives the same text as decoding at once, and never half a character.

mod support;

use ocellus_text::{Special, Tokenizer};
use proptest::prelude::*;
use support::qwen;

fn stream(tokenizer: &Tokenizer, ids: &[u32], special: Special) -> Vec<String> {
    let mut detokenizer = tokenizer.detokenizer(special);
    let mut pieces: Vec<String> = ids
        .iter()
        .filter_map(|id| detokenizer.push(*id).unwrap())
        .collect();
    assert!(pieces.iter().all(|piece| !piece.is_empty()));
    pieces.push(detokenizer.finish().unwrap());
    pieces
}

fn characters() -> Tokenizer {
    Tokenizer::from_json(Tokenizer::characters(
        &['a', 'b', ' ', '你', 'é'],
        &["<|pad|>", "<|end|>"],
    ))
    .unwrap()
}

/// A SentencePiece-like vocabulary: "▁" for a space, bytes as `<0xNN>`.
fn byte_fallback() -> Tokenizer {
    let mut vocabulary = serde_json::json!({"<unk>": 0, "▁a": 1, "b": 2, "▁": 3});
    for byte in 0..=255u32 {
        vocabulary[format!("<0x{byte:02X}>")] = (4 + byte).into();
    }
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "vocab": vocabulary, "merges": []}
    });
    Tokenizer::from_json(json.to_string()).unwrap()
}

#[test]
fn ids_that_stand_for_nothing_change_no_text() {
    let tokenizer = byte_fallback();
    // Spaces at the start, ids beyond the vocabulary, a word.
    for beyond in [0, 1, 7, 8, 9, 30] {
        let ids = [
            vec![3],
            vec![9000; beyond],
            vec![1, 2],
            vec![9000; beyond],
            vec![1],
        ]
        .concat();
        let whole = tokenizer.decode_with(&ids, Special::Skip).unwrap();
        assert_eq!(whole, " ab a");
        assert_eq!(
            stream(&tokenizer, &ids, Special::Skip).concat(),
            whole,
            "{beyond}"
        );
    }
}

#[test]
fn emoji_come_whole() {
    let text = "a😀👩‍👩‍👧‍👦🇨🇳é你";
    let pieces = stream(qwen(), &qwen().encode(text).unwrap(), Special::Skip);
    assert_eq!(pieces.concat(), text);
    assert!(pieces.len() > 6, "pieces come before the end: {pieces:?}");
    assert!(
        pieces.iter().all(|piece| !piece.contains('\u{FFFD}')),
        "{pieces:?}"
    );
}

#[test]
fn what_never_becomes_a_character_is_replaced_at_the_end() {
    let byte = |as_written: &str| qwen().token_id(as_written).unwrap(); // in the byte alphabet
    let half = [byte("a"), byte("ð"), byte("Ł")]; // "a" and the first two bytes of an emoji
    assert_eq!(stream(qwen(), &half, Special::Skip), ["a", "\u{FFFD}"]);
    let broken = [byte("ð"), byte("a")];
    assert_eq!(stream(qwen(), &broken, Special::Skip), ["\u{FFFD}a", ""]);
}

#[test]
fn special_tokens_by_choice() {
    let ids = qwen().encode("<|im_start|>a<|im_end|>").unwrap();
    assert_eq!(stream(qwen(), &ids, Special::Skip).concat(), "a");
    assert_eq!(
        stream(qwen(), &ids, Special::Keep).concat(),
        "<|im_start|>a<|im_end|>"
    );
    let tokenizer = characters();
    let ids = tokenizer.encode("a<|end|>b").unwrap();
    assert_eq!(stream(&tokenizer, &ids, Special::Skip).concat(), "ab");
    assert_eq!(stream(&tokenizer, &ids, Special::Keep).concat(), "a<|end|>b");
}

#[test]
fn byte_fallback_waits_for_the_character() {
    let tokenizer = byte_fallback();
    let byte = |b: u8| tokenizer.token_id(&format!("<0x{b:02X}>")).unwrap();
    let mut ids = vec![1, 2, 1];
    ids.extend("你é".bytes().map(byte));
    ids.push(2);
    assert_eq!(tokenizer.decode(&ids).unwrap(), "ab a你éb");
    assert_eq!(
        stream(&tokenizer, &ids, Special::Skip),
        ["a", "b", " a", "你", "é", "b", ""]
    );
    let broken = vec![byte(0xE4); 40];
    let pieces = stream(&tokenizer, &broken, Special::Skip);
    assert!(
        pieces.len() > 3,
        "invalid bytes are not held for ever: {pieces:?}"
    );
    assert_eq!(pieces.concat(), "\u{FFFD}".repeat(40));
}

proptest! {
    #[test]
    fn streaming_equals_decoding(
        ids in prop::collection::vec(prop_oneof![0u32..600, 0u32..151_700], 0..40),
        keep in any::<bool>(),
    ) {
        let special = if keep { Special::Keep } else { Special::Skip };
        let pieces = stream(qwen(), &ids, special);
        prop_assert_eq!(pieces.concat(), qwen().decode_with(&ids, special).unwrap());
    }

    #[test]
    fn text_survives(text in "\\PC{0,30}|[a-z 你é😀\n]{0,30}") {
        let ids = qwen().encode(&text).unwrap();
        let once = stream(qwen(), &ids, Special::Keep).concat();
        prop_assert_eq!(&qwen().encode(&once).unwrap(), &ids);
        let pieces = stream(qwen(), &ids, Special::Keep);
        let whole = text.contains('\u{FFFD}') || pieces.iter().all(|piece| !piece.contains('\u{FFFD}'));
        prop_assert!(whole, "{:?}", pieces);
    }

    #[test]
    fn streaming_equals_decoding_for_characters(ids in prop::collection::vec(0u32..10, 0..60), keep in any::<bool>()) {
        let (tokenizer, special) = (characters(), if keep { Special::Keep } else { Special::Skip });
        prop_assert_eq!(stream(&tokenizer, &ids, special).concat(), tokenizer.decode_with(&ids, special).unwrap());
    }
}
