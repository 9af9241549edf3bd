//! Any bytes as the other files of tokenizers, in a folder: sentence pieces, rank files, vocabularies, merges. The first byte says
//! which, and what stands behind a line of `====` is the file beside it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus_fuzz::{Folder, choice, two};
use ocellus_text::Tokenizer;

const FILES: &[(&str, &str)] = &[
    ("spiece.model", "tokenizer_config.json"),
    ("tokenizer.model", "added_tokens.json"),
    ("ranks.tiktoken", "config.json"),
    ("vocab.txt", "tokenizer_config.json"),
    ("vocab.json", "merges.txt"),
    ("bpe_simple_vocab_16e6.txt", "tokenizer_config.json"),
    ("bpe_simple_vocab_16e6.txt.gz", "config.json"),
    ("tekken.json", "config.json"),
];

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    let Some((kind, rest)) = choice(bytes, FILES.len() as u8) else { return };
    let (first, second) = two(rest);
    let (name, beside) = FILES[usize::from(kind)];
    let folder = Folder::with(&[(name, first), (beside, second)]);
    let tokenizer = match Tokenizer::from_dir(folder.path()) {
        Ok(tokenizer) => tokenizer,
        Err(error) => return assert!(!error.to_string().contains('\n'), "{error}"),
    };
    for text in ["", "Hello, world! 12", "\u{e9}\u{4f60}\u{597d} \u{1f600}\n\t x"] {
        let _ = tokenizer.encode_plain(text);
        let Ok(ids) = tokenizer.encode(text) else { continue };
        let _ = tokenizer.decode(&ids);
    }
});
