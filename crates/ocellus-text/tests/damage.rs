//! Vocabulary files with bytes changed: they are read or refused, and what is read encodes and decodes any text.

mod support;

use ocellus_text::{Special, Tokenizer};
use proptest::prelude::*;
use std::fs;

const FILES: &[(&str, &str)] = &[
    ("word_piece-uncased", "vocab.txt"),
    ("word_end", "merges.txt"),
    ("sentence_piece-unigram", "spiece.model"),
    ("sentence_piece-bpe", "tokenizer.model"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_end_in_an_error_or_a_tokenizer(
        file in 0..FILES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        text in "[a-z ]{0,12}\\PC{0,12}",
    ) {
        let (kind, name) = FILES[file];
        let from = support::goldens().join("tokenizers").join(kind);
        let dir = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(&from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
        let mut bytes = fs::read(from.join(name)).unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(dir.path().join(name), bytes).unwrap();
        match Tokenizer::from_dir(dir.path()) {
            Err(error) => prop_assert!(!error.to_string().is_empty()),
            Ok(tokenizer) => {
                for ids in [tokenizer.encode(&text), tokenizer.encode_plain(&text)].into_iter().flatten() {
                    tokenizer.decode_with(&ids, Special::Keep).unwrap();
                }
            }
        }
    }
}

#[test]
fn long_runs_take_no_longer_than_their_length_asks() {
    for (kind, _) in FILES {
        let tokenizer = Tokenizer::from_dir(&support::goldens().join("tokenizers").join(kind)).unwrap();
        for text in [
            format!("a{}b", " ".repeat(200_000)),
            "ab".repeat(100_000),
            "!".repeat(100_000),
            "é ".repeat(50_000),
        ] {
            let ids = tokenizer.encode(&text).unwrap();
            assert_eq!(
                tokenizer.encode_plain(&text).unwrap(),
                ids,
                "{kind} {}",
                &text[..4]
            );
        }
    }
}

/// A field of a sentence-piece model: number, and its bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 127 {
        out.push((length & 127 | 128) as u8);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
    out
}

/// A model of byte pairs with these pieces: text and kind.
fn pieces(pieces: impl Iterator<Item = (String, u8)>) -> Vec<u8> {
    let unknown = ("<unk>".to_string(), 2);
    let piece =
        |(text, kind): (String, u8)| field(1, &[field(1, text.as_bytes()), vec![3 << 3, kind]].concat());
    let mut file: Vec<u8> = std::iter::once(unknown).chain(pieces).flat_map(piece).collect();
    file.extend(field(2, &[3 << 3, 2]));
    file.extend(field(3, &[]));
    file
}

/// Rank lines of all single bytes, and of more tokens.
fn ranks(more: impl Iterator<Item = (Vec<u8>, u32)>) -> Vec<u8> {
    use base64::Engine as _;
    let bytes = (0..=255u8).map(|byte| (vec![byte], u32::from(byte)));
    let line = |(token, rank): (Vec<u8>, u32)| {
        let token = base64::engine::general_purpose::STANDARD.encode(token);
        format!("{token} {rank}\n").into_bytes()
    };
    bytes.chain(more).flat_map(line).collect()
}

#[test]
fn what_would_take_minutes_or_gigabytes_is_refused() {
    let long = |length: usize| move |n: usize| (format!("{n:06}{}", "x".repeat(length - 6)), 1);
    let listed = |n: usize| {
        let tokens: Vec<String> = (0..n)
            .map(|id| format!("\"{id}\": {{\"content\": \"<t{id}>\"}}"))
            .collect();
        format!("{{\"added_tokens_decoder\": {{{}}}}}", tokens.join(",")).into_bytes()
    };
    // A name, the files, and what the error says; `None` = it is read.
    type Case = (&'static str, Vec<(&'static str, Vec<u8>)>, Option<&'static str>);
    let cases: Vec<Case> = vec![
        (
            "pieces as usual",
            vec![("tokenizer.model", pieces((0..99).map(long(30))))],
            None,
        ),
        (
            "a piece of two kilobytes",
            vec![("tokenizer.model", pieces((0..1).map(long(2000))))],
            Some("2000 bytes, more than the 1024"),
        ),
        (
            "many long pieces",
            vec![("tokenizer.model", pieces((0..200).map(long(1000))))],
            Some("too many for their lengths"),
        ),
        (
            "very many special pieces",
            vec![(
                "tokenizer.model",
                pieces((0..70_000).map(|n| (format!("<{n}>"), 3))),
            )],
            Some("more than the 65536"),
        ),
        (
            "ranks as usual",
            vec![("a.tiktoken", ranks(std::iter::empty()))],
            None,
        ),
        (
            "many long ranks",
            vec![(
                "a.tiktoken",
                ranks((0..200u32).map(|n| ([vec![n as u8; 999], vec![0]].concat(), 256 + n))),
            )],
            Some("too many for their lengths"),
        ),
        (
            "a rank beyond all tables",
            vec![("a.tiktoken", ranks(std::iter::once((b"ab".to_vec(), u32::MAX))))],
            Some("more than the 1048576"),
        ),
        (
            "an id beyond all tables",
            vec![(
                "tokenizer.json",
                br#"{"model": {"type": "BPE", "vocab": {"a": 4000000000}, "merges": []}}"#.to_vec(),
            )],
            Some("more than the 1048576"),
        ),
        (
            "very many added tokens",
            vec![
                ("vocab.txt", b"[UNK]\na\n".to_vec()),
                ("tokenizer_config.json", listed(70_000)),
            ],
            Some("more than the 65536"),
        ),
    ];
    for (name, files, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        for (file, bytes) in files {
            fs::write(dir.path().join(file), bytes).unwrap();
        }
        let found = Tokenizer::from_dir(dir.path());
        match (expected, found) {
            (None, Ok(_)) => {}
            (Some(expected), Err(error)) => {
                assert!(error.to_string().contains(expected), "{name}: {error}");
            }
            (_, other) => panic!("{name}: {other:?}"),
        }
    }
}
