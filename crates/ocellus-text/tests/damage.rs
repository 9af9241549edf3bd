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
