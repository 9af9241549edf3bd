//! Any bytes as `tokenizer.json`: text becomes ids and ids become text, or the file is refused in one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus_text::{Detokenizer, Special, Tokenizer};

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    let tokenizer = match Tokenizer::from_json(bytes) {
        Ok(tokenizer) => tokenizer,
        Err(error) => return assert!(!error.to_string().contains('\n'), "{error}"),
    };
    for text in ["", "Hello, world! 12", "\u{e9}\u{4f60}\u{597d} \u{1f600}\n\t x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        let _ = tokenizer.encode_plain(text);
        let Ok(ids) = tokenizer.encode(text) else { continue };
        let _ = tokenizer.decode(&ids);
        let mut pieces = Detokenizer::new(&tokenizer, Special::Keep);
        for id in ids.iter().copied().chain(0..16) {
            if pieces.push(id).is_err() {
                break;
            }
        }
        let _ = pieces.finish();
    }
});
