//! The simplest tokenizer: one id per character.

use crate::Tokenizer;
use std::collections::HashSet;

/// The special token that stands for characters outside the vocabulary.
const UNKNOWN: &str = "<|unk|>";

impl Tokenizer {
    /// The text of a `tokenizer.json` in which every character is a token of its own.
    ///
    /// Ids: `special` in the given order, then `<|unk|>` if it is not among them, then `chars`; repeated entries keep their
    /// first id. Text is composed (NFC) before it is looked up, so `chars` should be composed too. Characters that are not
    /// listed become `<|unk|>`; decoding joins the characters with nothing between them.
    pub fn characters(chars: &[char], special: &[&str]) -> String {
        let mut seen = HashSet::new();
        let mut specials: Vec<String> = special.iter().map(|token| token.to_string()).collect();
        specials.push(UNKNOWN.to_string());
        specials.retain(|token| seen.insert(token.clone()));
        let letters: Vec<String> = chars
            .iter()
            .map(char::to_string)
            .filter(|c| seen.insert(c.clone()))
            .collect();
        let added: Vec<_> = (0u32..)
            .zip(&specials)
            .map(|(id, content)| {
                serde_json::json!({
                    "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true
                })
            })
            .collect();
        let vocabulary: serde_json::Map<_, _> = specials
            .into_iter()
            .chain(letters)
            .zip(0u32..)
            .map(|(token, id)| (token, id.into()))
            .collect();
        serde_json::json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added,
            "normalizer": { "type": "NFC" },
            "pre_tokenizer": null,
            "post_processor": null,
            "decoder": { "type": "Fuse" },
            // Byte-pair encoding with no pairs to merge: what remains are single characters.
            "model": {
                "type": "BPE", "dropout": null, "unk_token": UNKNOWN, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocabulary, "merges": []
            }
        })
        .to_string()
    }
}
