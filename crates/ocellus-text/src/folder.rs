//! The tokenizer files of a checkpoint folder.

use crate::added::{Config, with_named};
use crate::byte_pairs::{BytePairs, Form, GPT2_PATTERN};
use crate::files::{about, complete, damaged, merge, parse, read, read_text};
use crate::ranks::{QWEN_PATTERN, SPAN_IDS, with_pictures};
use crate::tokenizer::check_tokens;
use crate::{Result, Tekken, TextError, Tokenizer, sentence_piece, word_end, word_piece};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A way to read a tokenizer, and the files that must be there for it.
type Kind = (&'static [&'static str], fn(&Path) -> Result<Tokenizer>);

/// The first kind whose files are there counts: publishers that ship several mean the same by all.
const KINDS: &[Kind] = &[
    (&["tokenizer.json"], |dir| {
        let path = dir.join("tokenizer.json");
        Tokenizer::from_json(read(&path)?).map_err(|error| about(&path, error))
    }),
    (&["tekken.json"], |dir| {
        let path = dir.join("tekken.json");
        let tekken = Tekken::from_json(read(&path)?).map_err(|error| about(&path, error))?;
        Ok(tekken.tokenizer)
    }),
    (&["vocab.txt"], word_piece::from_dir),
    (&["vocab.json", "merges.txt"], vocabulary_with_merges),
    (&["spiece.model"], |dir| {
        sentence_piece::from_dir(dir, "spiece.model")
    }),
    (&["tokenizer.model"], |dir| {
        sentence_piece::from_dir(dir, "tokenizer.model")
    }),
    (&["bpe_simple_vocab_16e6.txt"], |dir| {
        word_end::from_merges_alone(&dir.join("bpe_simple_vocab_16e6.txt"))
    }),
    (&["bpe_simple_vocab_16e6.txt.gz"], |dir| {
        word_end::from_merges_alone(&dir.join("bpe_simple_vocab_16e6.txt.gz"))
    }),
];

impl Tokenizer {
    /// Reads the tokenizer of the checkpoint folder `dir`, by the files that lie there: `tokenizer.json`; `tekken.json`;
    /// `vocab.txt` (word pieces); `vocab.json` with `merges.txt` (byte pairs, in one of three forms); a rank file
    /// (`*.tiktoken`); `spiece.model` or `tokenizer.model` (sentence pieces); `bpe_simple_vocab_16e6.txt`, also packed.
    ///
    /// What such files leave out is taken from `tokenizer_config.json` and `added_tokens.json`.
    pub fn from_dir(dir: &Path) -> Result<Tokenizer> {
        let there = |(files, _): &&Kind| files.iter().all(|file| dir.join(file).exists());
        if let Some((_, read)) = KINDS.iter().find(there) {
            return read(dir);
        }
        match rank_file(dir) {
            Some(path) => from_rank_file(dir, &path),
            None => Err(TextError::NoTokenizer {
                dir: dir.to_path_buf(),
            }),
        }
    }
}

/// The only file of `dir` that ends in `.tiktoken`.
fn rank_file(dir: &Path) -> Option<PathBuf> {
    let paths = fs::read_dir(dir)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()));
    let mut found = paths.filter(|path| path.extension().is_some_and(|end| end == "tiktoken"));
    found.next().filter(|_| found.next().is_none())
}

/// A rank file in a folder comes with the special tokens that its publisher's code adds, pictures' addresses among them.
fn from_rank_file(dir: &Path, path: &Path) -> Result<Tokenizer> {
    let bytes = read(path)?;
    let special = with_pictures(&bytes);
    let named = |error: TextError| match error {
        TextError::Ranks { line, reason } => damaged(path, format!("line {line}: {reason}")),
        TextError::RankSet { reason } => damaged(path, reason),
        other => about(path, other),
    };
    let tokenizer = Tokenizer::from_ranks(&bytes, &special).map_err(named)?;
    complete(dir, path, tokenizer.vocab_size())?;
    tokenizer.with_byte_spans("<img>", "</img>", "<imgpad>", SPAN_IDS)
}

/// `vocab.json` and `merges.txt`. They do not say how text is cut into words: the class in `tokenizer_config.json` does, else
/// tokens that only one form has.
fn vocabulary_with_merges(dir: &Path) -> Result<Tokenizer> {
    let path = dir.join("vocab.json");
    let vocabulary: HashMap<String, u32> = parse(&path)?;
    let merges_path = dir.join("merges.txt");
    let merges = read_merges(&merges_path)?;
    check_tokens(vocabulary.len()).map_err(|reason| damaged(&path, reason))?;
    if vocabulary.len() > merges.len() + MOST_WITHOUT_MERGE {
        let (found, tokens) = (merges.len(), vocabulary.len());
        return Err(damaged(
            &merges_path,
            format!("{found} merges cannot lead to the {tokens} tokens of vocab.json"),
        ));
    }
    let mut config = Config::read(dir)?;
    let added = config.added(dir)?;
    let class = config.tokenizer_class.as_deref().unwrap_or_default();
    let ends_words = class.starts_with("CLIPTokenizer")
        || (class.is_empty() && vocabulary.keys().any(|token| token.ends_with(word_end::WORD_END)));
    if ends_words {
        return word_end::from_merges(vocabulary, merges, added).map_err(|error| about(dir, error));
    }
    let plain = class.starts_with("GPT2Tokenizer")
        || (class.is_empty()
            && ["</s>", "<|endoftext|>"]
                .iter()
                .any(|t| vocabulary.contains_key(*t)));
    let (form, names): (Form<'_>, &[&str]) = if plain {
        let names = &["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"];
        (form(GPT2_PATTERN, false), names)
    } else {
        (form(QWEN_PATTERN, true), &[])
    };
    let added = with_named(added, names, &vocabulary);
    BytePairs {
        vocabulary,
        merges,
        added,
    }
    .into_tokenizer(&form)
    .map_err(|error| about(dir, error))
}

fn form(pattern: &str, nfc: bool) -> Form<'_> {
    Form {
        pattern,
        nfc,
        whole_words: false,
    }
}

/// Most tokens that no merge leads to: twice the bytes, and special tokens.
const MOST_WITHOUT_MERGE: usize = 2048;

/// `merges.txt`: an optional `#version` line, then two pieces a line, best first.
fn read_merges(path: &Path) -> Result<Vec<(String, String)>> {
    let text = read_text(path)?;
    let mut merges = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || (number == 0 && line.starts_with("#version")) {
            continue;
        }
        merges.push(merge(path, number, line)?);
    }
    Ok(merges)
}
