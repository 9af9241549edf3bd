//! The rank-file tokenizer: against a direct reading of the rules, and damaged files.

mod support;

use base64::Engine as _;
use ocellus_text::{TextError, Tokenizer};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::LazyLock;
use support::qwen;

static RANKS: LazyLock<HashMap<Vec<u8>, u32>> = LazyLock::new(|| {
    let file = String::from_utf8(support::rank_file()).unwrap();
    let entry = |line: &str| {
        let (token, rank) = line.split_once(' ').unwrap();
        (
            base64::engine::general_purpose::STANDARD.decode(token).unwrap(),
            rank.parse().unwrap(),
        )
    };
    file.lines().map(entry).collect()
});

/// Byte-pair encoding of one word as rank files define it: a word that is a token is that token; otherwise the neighbours
/// that form the best-ranked token are merged, leftmost first, until none do.
fn by_ranks(word: &[u8]) -> Vec<u32> {
    if let Some(rank) = RANKS.get(word) {
        return vec![*rank];
    }
    let mut pieces: Vec<Vec<u8>> = word.iter().map(|byte| vec![*byte]).collect();
    while let Some((_, i)) = (1..pieces.len())
        .filter_map(|i| Some((*RANKS.get(&[&pieces[i - 1][..], &pieces[i]].concat())?, i)))
        .min()
    {
        let right = pieces.remove(i);
        pieces[i - 1].extend(right);
    }
    pieces.iter().map(|piece| RANKS[piece]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Letters only, so that the pattern makes one word of them whatever they are.
    #[test]
    fn words_are_merged_by_rank(word in "[a-zA-Zäöüßéñçàáâãåæœøþðł]{1,30}|[一-鿿]{1,12}|[а-яёА-Я]{1,20}|[a-e]{1,40}|[가-힣]{1,10}") {
        prop_assert_eq!(qwen().encode(&word).unwrap(), by_ranks(word.as_bytes()), "{}", word);
    }

    #[test]
    fn runs_of_symbols_are_merged_by_rank(word in "[-=*#_./]{1,60}") {
        prop_assert_eq!(qwen().encode(&word).unwrap(), by_ranks(word.as_bytes()), "{}", word);
    }
}

#[test]
fn every_token_that_is_one_word_is_itself() {
    let mut checked = 0;
    for (token, rank) in RANKS.iter() {
        let Ok(text) = std::str::from_utf8(token) else {
            continue;
        };
        if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic()) {
            assert_eq!(qwen().encode(text).unwrap(), [*rank], "{text:?}");
            checked += 1;
        }
    }
    assert!(checked > 20_000, "{checked}");
}

#[test]
fn long_runs_of_one_kind_stay_correct() {
    // Words of a size at which a pattern engine with a step limit, or a quadratic merge, would show.
    for text in [
        " ".repeat(300_000) + "a",
        "\n".repeat(100_000),
        "ab".repeat(50_000),
    ] {
        let ids = qwen().encode(&text).unwrap();
        assert_eq!(qwen().decode(&ids).unwrap(), text);
        assert!(ids.len() <= text.len() / 2, "{} ids", ids.len());
        assert!(
            !text.ends_with('a') || ids.ends_with(&qwen().encode(" a").unwrap()),
            "the last space goes to the letter"
        );
    }
}

#[test]
fn ids_and_names() {
    assert_eq!(qwen().vocab_size(), 151_665);
    assert_eq!(qwen().token_id("<|im_end|>"), Some(151_645));
    assert_eq!(qwen().token(151_655).as_deref(), Some("<|image_pad|>"));
    assert_eq!(qwen().token_id("no such token"), None);
    assert!(qwen().is_special(151_645) && !qwen().is_special(0));
    assert_eq!(
        qwen().decode(&[9707, 151_645, 151_900, 0]).unwrap(),
        "Hello!",
        "special and unknown ids are skipped"
    );
}

#[test]
fn special_tokens_keep_their_ids_across_gaps() {
    let special = [("<ref>".to_string(), 151_851), ("<img>".to_string(), 151_857)];
    let tokenizer = Tokenizer::from_ranks(&support::rank_file(), &special).unwrap();
    assert_eq!(tokenizer.encode("<img><ref>").unwrap(), [151_857, 151_851]);
    assert_eq!(tokenizer.vocab_size(), 151_858);
    assert_eq!(
        tokenizer
            .decode_with(&[151_851], ocellus_text::Special::Keep)
            .unwrap(),
        "<ref>"
    );
}

/// All single bytes by rank 0..=255, then `extra` lines.
fn file(extra: &str) -> Vec<u8> {
    let encode = |byte: u8| base64::engine::general_purpose::STANDARD.encode([byte]);
    let mut text: String = (0..=255u8)
        .map(|byte| format!("{} {byte}\n", encode(byte)))
        .collect();
    text.push_str(extra);
    text.into_bytes()
}

#[test]
fn a_small_rank_file_works() {
    let tokenizer = Tokenizer::from_ranks(&file("YWI= 256\nYWJj 300\n"), &[]).unwrap();
    assert_eq!(tokenizer.encode("abcabx").unwrap(), [300, 256, u32::from(b'x')]);
    assert_eq!(tokenizer.vocab_size(), 301);
}

#[test]
fn damaged_rank_files() {
    /// What, the file, its special tokens, a part of the message.
    type Damage<'a> = (&'a str, Vec<u8>, &'a [(String, u32)], &'a str);
    let none: &[(String, u32)] = &[];
    let special = |token: &str, id| [(token.to_string(), id)];
    let cases: &[Damage<'_>] = &[
        ("empty", vec![], none, "single byte 0x00 has no rank"),
        ("no rank", file("YWI=\n"), none, "line 257: expected a token"),
        (
            "not base64",
            file("Y*I= 256\n"),
            none,
            "line 257: the token is not base64",
        ),
        ("not a number", file("YWI= x\n"), none, "rank `x`"),
        ("number too large", file("YWI= 4294967296\n"), none, "line 257"),
        ("rank twice", file("YWI= 7\n"), none, "rank 7 is given twice"),
        (
            "token twice",
            file("YQ== 256\n"),
            none,
            "the token is given twice",
        ),
        ("empty token", file(" 256\n"), none, "a token of 0 bytes"),
        ("not text", file("\u{0}"), none, "line 257"),
        (
            "special on a used id",
            file(""),
            &special("<|x|>", 97),
            "belongs to `a`",
        ),
        ("special is a token", file(""), &special("a", 300), "disagrees"),
        ("empty special", file(""), &special("", 300), "empty"),
    ];
    for (what, bytes, special, expected) in cases {
        let error = Tokenizer::from_ranks(bytes, special).expect_err(what);
        assert!(error.to_string().contains(expected), "{what}: {error}");
    }
}

#[test]
fn texts_have_a_limit() {
    let long = "a".repeat(ocellus_text::MAX_TEXT_BYTES + 1);
    assert!(matches!(qwen().encode(&long), Err(TextError::TooLarge { .. })));
}
