//! Any ids through the streaming detokenizer, for a vocabulary of each kind: no panic, never half a character; for vocabularies of
//! bytes the pieces together are what all ids at once give.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ocellus_fuzz::choice;
use ocellus_text::{Detokenizer, Special, Tokenizer};

static TOKENIZERS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens");
    let mut found = Vec::new();
    for parent in [goldens.join("tokenizers"), goldens.clone()] {
        let mut folders: Vec<_> = std::fs::read_dir(parent).into_iter().flatten().flatten().map(|e| e.path()).collect();
        folders.sort();
        for folder in folders {
            for folder in [folder.join("model"), folder] {
                found.extend(Tokenizer::from_dir(&folder).ok());
            }
        }
    }
    assert!(found.len() > 5, "the goldens have tokenizers");
    found
});

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    let count = TOKENIZERS.len().min(255) as u8;
    let Some((kind, rest)) = choice(bytes, count) else { return };
    let tokenizer = &TOKENIZERS[usize::from(kind)];
    let ids: Vec<u32> = rest.chunks_exact(2).map(|pair| u32::from(u16::from_le_bytes([pair[0], pair[1]]))).collect();
    for special in [Special::Skip, Special::Keep] {
        let mut pieces = Detokenizer::new(tokenizer, special);
        let mut text = String::new();
        for id in &ids {
            let Ok(piece) = pieces.push(*id) else { return };
            text.extend(piece);
        }
        text.extend(pieces.finish());
        let Ok(whole) = tokenizer.decode_with(&ids, special) else { return };
        if !whole.contains('\u{fffd}') && !text.contains('\u{fffd}') {
            assert_eq!(text, whole);
        }
    }
});
