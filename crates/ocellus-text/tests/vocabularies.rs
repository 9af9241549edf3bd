//! Every kind of vocabulary in its publishers' files, against the ids of the reference (`tests/goldens/tokenizers`).

mod support;

use ocellus_text::{Special, Tekken, Tokenizer};
use serde_json::Value;
use std::fs;
use std::path::Path;
use support::kinds::{folder, golden, ids, open};

/// Folder, and whether the reference takes special tokens in a text for text.
const KINDS: &[(&str, bool)] = &[
    ("word_piece-uncased", false),
    ("word_piece-cased", false),
    ("word_end", false),
    ("byte_level", false),
    ("sentence_piece-unigram", false),
    ("sentence_piece-bpe", false),
    ("tekken", true),
];

/// The strings of a golden with their ids.
fn rows(golden: &Value) -> Vec<(&str, Vec<u32>)> {
    let strings = golden["strings"].as_array().unwrap();
    let expected = golden["ids"].as_array().unwrap();
    assert_eq!(strings.len(), expected.len());
    strings
        .iter()
        .map(|text| text.as_str().unwrap())
        .zip(expected.iter().map(ids))
        .collect()
}

#[test]
fn ids_are_the_references() {
    let mut wrong = Vec::new();
    for (kind, plain) in KINDS {
        let (tokenizer, golden) = (open(kind), golden(kind));
        for (text, expected) in rows(&golden) {
            let found = if *plain {
                tokenizer.encode_plain(text).unwrap()
            } else {
                tokenizer.encode(text).unwrap()
            };
            if found != expected {
                wrong.push(format!("{kind} {text:?}: expected {expected:?}, found {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn plain_text_has_no_special_ids() {
    for (kind, _) in KINDS {
        let tokenizer = open(kind);
        for (text, expected) in rows(&golden(kind)) {
            let plain = tokenizer.encode_plain(text).unwrap();
            let unknown = ["[UNK]", "<unk>"].map(|token| tokenizer.token_id(token));
            for id in &plain {
                assert!(
                    !tokenizer.is_special(*id) || unknown.contains(&Some(*id)),
                    "{kind} {text:?}: {id} in {plain:?}"
                );
            }
            if expected.iter().all(|id| !tokenizer.is_special(*id)) {
                assert_eq!(plain, expected, "{kind} {text:?}");
            }
        }
    }
}

#[test]
fn ids_become_text_again() {
    for (kind, text, expected) in [
        (
            "word_piece-uncased",
            "a photo of a cat, it's!",
            "a photo of a cat, it ' s!",
        ),
        ("word_piece-uncased", "unaffable years", "unaffable years"),
        ("word_piece-cased", "A photo of John", "A photo of John"),
        ("word_end", "A photo of a cat's 12", "a photo of a cat 's 1 2"),
        ("byte_level", "  A Photo, 你好!\n", "  A Photo, 你好!\n"),
        (
            "sentence_piece-unigram",
            "  a photo  of a cat ",
            "a photo of a cat",
        ),
        ("sentence_piece-bpe", "a photo  of 你好", "a photo  of 你好"),
        ("tekken", "  A Photo, 你好!\n", "  A Photo, 你好!\n"),
    ] {
        let tokenizer = open(kind);
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), expected, "{kind}");
        let mut detokenizer = tokenizer.detokenizer(Special::Skip);
        let mut streamed = String::new();
        for id in ids {
            streamed += &detokenizer.push(id).unwrap().unwrap_or_default();
        }
        assert_eq!(
            streamed + &detokenizer.finish().unwrap(),
            expected,
            "{kind}, one at a time"
        );
    }
}

#[test]
fn special_tokens_have_their_ids() {
    let sizes: Vec<usize> = KINDS.iter().map(|(kind, _)| open(kind).vocab_size()).collect();
    for (kind, token, id) in [
        ("word_piece-uncased", "[PAD]", 0),
        ("word_piece-uncased", "[DEC]", sizes[0] - 2),
        ("word_piece-uncased", "[ENC]", sizes[0] - 1),
        ("word_end", "<|startoftext|>", sizes[2] - 2),
        ("word_end", "<|endoftext|>", sizes[2] - 1),
        ("byte_level", "</s>", 2),
        ("sentence_piece-unigram", "</s>", 1),
        ("sentence_piece-unigram", "<extra_id_99>", sizes[4] - 100),
        ("sentence_piece-unigram", "<extra_id_0>", sizes[4] - 1),
        ("tekken", "[INST]", 3),
        ("tekken", "[IMG]", 10),
        ("tekken", "[IMG_BREAK]", 12),
        ("tekken", "[IMG_END]", 13),
        ("tekken", "<SPECIAL_39>", 39),
    ] {
        let (tokenizer, id) = (open(kind), id as u32);
        assert_eq!(tokenizer.token_id(token), Some(id), "{kind} {token}");
        assert!(tokenizer.is_special(id), "{kind} {token}");
        assert_eq!(tokenizer.encode(token).unwrap(), [id], "{kind} {token}");
        assert!(
            !tokenizer.encode_plain(token).unwrap().contains(&id),
            "{kind} {token}"
        );
    }
    let pieces = golden("sentence_piece-unigram")["pieces"].as_u64().unwrap() as usize;
    assert_eq!(sizes[4], pieces + 100);
}

#[test]
fn merges_alone_imply_their_vocabulary() {
    let dir = tempfile::tempdir().unwrap();
    // Twenty real merges, then two-character ones that no text of this test meets.
    let merges = fs::read_to_string(folder("word_end").join("merges.txt")).unwrap();
    let real: Vec<&str> = merges.lines().skip(1).take(20).collect();
    let upper = ('À'..='ÿ').chain('\u{100}'..='\u{143}').filter(|c| *c != 'À');
    let upper: Vec<char> = upper.collect();
    let made = upper
        .iter()
        .flat_map(|a| upper.iter().map(move |b| format!("{a} {b}")));
    let made: Vec<String> = made.collect();
    let longer = made
        .iter()
        .flat_map(|pair| ['!', '"', '#'].map(|c| format!("{} {c}", pair.replace(' ', ""))));
    let lines = real
        .iter()
        .map(|m| m.to_string())
        .chain(made.iter().cloned())
        .chain(longer);
    let text: String = ["a heading".to_string()]
        .into_iter()
        .chain(lines)
        .map(|l| l + "\n")
        .collect();
    assert!(text.lines().count() > 48_895);
    let path = dir.path().join("bpe_simple_vocab_16e6.txt");
    fs::write(&path, &text).unwrap();
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    assert_eq!(tokenizer.vocab_size(), 49_408);
    assert_eq!(tokenizer.token_id("<|startoftext|>"), Some(49_406));
    assert_eq!(tokenizer.token_id("<|endoftext|>"), Some(49_407));
    assert_eq!(tokenizer.token_id("!"), Some(0));
    assert_eq!(tokenizer.token_id("!</w>"), Some(256));
    assert_eq!(tokenizer.token_id("in"), Some(512));
    assert_eq!(
        tokenizer.encode("IN !").unwrap(),
        [tokenizer.token_id("in</w>").unwrap_or(512), 256]
    );

    let packed = dir.path().join("bpe_simple_vocab_16e6.txt.gz");
    let mut encoder =
        flate2::write::GzEncoder::new(fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
    encoder.finish().unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(Tokenizer::from_dir(dir.path()).unwrap().vocab_size(), 49_408);
    halve(&packed);
    named(dir.path(), "bpe_simple_vocab_16e6.txt.gz is damaged");
    fs::write(
        &path,
        text.lines()
            .take(40_000)
            .map(|l| format!("{l}\n"))
            .collect::<String>(),
    )
    .unwrap();
    named(dir.path(), "expected at least 48894 merges, found 39999");
}

fn halve(path: &Path) {
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..whole.len() / 2]).unwrap();
}

/// Reading `dir` fails with one sentence that holds `expected`.
fn named(dir: &Path, expected: &str) {
    let error = Tokenizer::from_dir(dir).expect_err(expected).to_string();
    assert!(error.contains(expected), "expected {expected:?} in {error:?}");
    assert!(!error.contains('\n'), "{error:?}");
}

#[test]
fn files_cut_in_half_are_named() {
    for (kind, file) in [
        ("word_piece-cased", "vocab.txt"),
        ("word_end", "vocab.json"),
        ("word_end", "merges.txt"),
        ("byte_level", "vocab.json"),
        ("byte_level", "tokenizer_config.json"),
        ("sentence_piece-unigram", "spiece.model"),
        ("sentence_piece-bpe", "tokenizer.model"),
        ("tekken", "tekken.json"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(folder(kind)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
        // A list of words shows that it was cut by the size of the model beside it.
        fs::write(dir.path().join("config.json"), r#"{"vocab_size": 28996}"#).unwrap();
        if file == "merges.txt" {
            let path = dir.path().join(file);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, &text[..text[..text.len() / 2].rfind(' ').unwrap()]).unwrap();
        } else {
            halve(&dir.path().join(file));
        }
        named(dir.path(), &format!("{file} is damaged"));
    }
}

#[test]
fn a_tekken_file_that_contradicts_itself_is_refused() {
    let whole: Value =
        serde_json::from_slice(&fs::read(folder("tekken").join("tekken.json")).unwrap()).unwrap();
    type Damage = fn(&mut Value);
    let cases: &[(&str, Damage)] = &[
        ("but 1250 entries", |f| {
            f["config"]["default_vocab_size"] = 2000.into()
        }),
        ("entries", |f| f["config"]["default_vocab_size"] = 3.into()),
        ("default_num_special_tokens is 4", |f| {
            f["config"]["default_num_special_tokens"] = 4.into()
        }),
        ("entry 300 of `vocab`: rank 7", |f| {
            f["vocab"][300]["rank"] = 7.into()
        }),
        ("not base64", |f| f["vocab"][300]["token_bytes"] = "*".into()),
        ("single byte", |f| f["vocab"][3]["token_bytes"] = "YWI=".into()),
        ("given twice", |f| f["vocab"][300] = f["vocab"][299].clone()),
        ("null", |f| f["config"]["pattern"] = Value::Null),
        ("has rank 77", |f| {
            f["special_tokens"] = serde_json::json!([{"rank": 77, "token_str": "<x>"}])
        }),
    ];
    for (expected, damage) in cases {
        let mut file = whole.clone();
        damage(&mut file);
        if *expected == "given twice" {
            file["vocab"][300]["rank"] = 300.into();
        }
        let error = Tekken::from_json(file.to_string())
            .expect_err(expected)
            .to_string();
        assert!(
            error.contains(expected) && error.contains("tekken.json"),
            "{expected}: {error}"
        );
    }
    assert!(Tekken::is_meant(whole.to_string().as_bytes()));
    assert!(!Tekken::is_meant(br#"{"model": {"type": "BPE"}}"#));
}
