//! Word pieces: `vocab.txt` (arXiv:1810.04805).
//!
//! Text is cleaned, cut at white space and punctuation, and every word into the longest pieces that the vocabulary has.

use crate::added::{Config, claim, with_named};
use crate::files::{complete, damaged, read_text};
use crate::tokenizer::check_tokens;
use crate::{Result, Tokenizer};
use std::collections::HashMap;
use std::path::Path;
use tokenizers::decoders::wordpiece::WordPiece as Decoder;
use tokenizers::models::bpe::Vocab;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

/// Stands for a word that no pieces make up.
const UNKNOWN: &str = "[UNK]";
/// Special tokens of every such vocabulary.
const SPECIAL: &[&str] = &["[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]"];
/// What the vocabulary writes before a piece that is not the first of its word.
const CONTINUED: &str = "##";
/// Longer words become [`UNKNOWN`].
const MAX_WORD_CHARS: usize = 100;

/// `vocab.txt` with what `tokenizer_config.json` says about it.
pub(crate) fn from_dir(dir: &Path) -> Result<Tokenizer> {
    let path = dir.join("vocab.txt");
    let text = read_text(&path)?;
    check_tokens(text.lines().count()).map_err(|reason| damaged(&path, reason))?;
    let mut vocabulary: HashMap<String, u32> = HashMap::new();
    for (token, id) in text.lines().zip(0..) {
        vocabulary.insert(token.to_string(), id);
    }
    if !vocabulary.contains_key(UNKNOWN) {
        return Err(damaged(&path, format!("the token `{UNKNOWN}` is missing")));
    }
    let mut config = Config::read(dir)?;
    let lower_case = config.do_lower_case.unwrap_or_else(|| is_lower_case(&vocabulary));
    let added = with_named(config.added(dir)?, SPECIAL, &vocabulary);
    claim(&mut vocabulary, &added)?;
    let size = vocabulary.len();
    let wrong = |error: tokenizers::Error| damaged(&path, error);
    let model = WordPiece::builder()
        .vocab(vocabulary.into_iter().collect::<Vocab>())
        .unk_token(UNKNOWN.to_string())
        .continuing_subword_prefix(CONTINUED.to_string())
        .max_input_chars_per_word(MAX_WORD_CHARS)
        .build()
        .map_err(wrong)?;
    let mut inner = tokenizers::Tokenizer::new(model);
    let ideographs = config.tokenize_chinese_chars.unwrap_or(true);
    let normalizer = BertNormalizer::new(true, ideographs, config.strip_accents, lower_case);
    inner.with_normalizer(Some(normalizer)).map_err(wrong)?;
    inner.with_pre_tokenizer(Some(BertPreTokenizer));
    inner.with_decoder(Some(Decoder::new(CONTINUED.to_string(), true)));
    inner
        .add_tokens(added.into_iter().map(|a| a.token))
        .map_err(wrong)?;
    complete(dir, &path, size)?;
    Tokenizer::new(inner)
}

/// A vocabulary without a capital letter outside its bracketed tokens was made from lower-cased text.
fn is_lower_case(vocabulary: &HashMap<String, u32>) -> bool {
    let bracketed = |token: &str| token.starts_with('[') && token.ends_with(']');
    vocabulary
        .keys()
        .filter(|token| !bracketed(token))
        .all(|token| !token.bytes().any(|byte| byte.is_ascii_uppercase()))
}
