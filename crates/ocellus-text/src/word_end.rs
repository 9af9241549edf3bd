//! Byte pairs with marked word ends (arXiv:2103.00020, section 2.4): lower case, and `</w>` behind the last piece of a word.

use crate::added::{Added, claim, with_named};
use crate::byte_pairs::damaged;
use crate::files::{self, merge, read, read_text};
use crate::{MAX_VOCABULARY_BYTES, Result, Tokenizer, byte_alphabet};
use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use tokenizers::SplitDelimiterBehavior;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::normalizers::utils::{Lowercase, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::{PreTokenizerWrapper, sequence::Sequence};

/// What stands behind the last piece of a word.
pub(crate) const WORD_END: &str = "</w>";

/// Contractions, letters, single digits, runs of symbols; white space only separates.
const PATTERN: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// Special tokens, which are the last two of the vocabulary.
const SPECIAL: &[&str] = &["<|startoftext|>", "<|endoftext|>"];

/// Merges that the published vocabulary takes from its file, which has more.
const MERGES: usize = 48_894;

/// A vocabulary and its merges.
pub(crate) fn from_merges(
    mut vocabulary: HashMap<String, u32>,
    merges: Vec<(String, String)>,
    added: Vec<Added>,
) -> Result<Tokenizer> {
    let added = with_named(added, SPECIAL, &vocabulary);
    claim(&mut vocabulary, &added)?;
    let model = BPE::builder()
        .vocab_and_merges(vocabulary.into_iter().collect::<Vocab>(), merges)
        .end_of_word_suffix(WORD_END.to_string())
        .build()
        .map_err(damaged)?;
    let mut inner = tokenizers::Tokenizer::new(model);
    let normalizer = Normalizers::new(vec![NFC.into(), Lowercase.into()]);
    inner.with_normalizer(Some(normalizer)).map_err(damaged)?;
    let pattern = SplitPattern::Regex(PATTERN.to_string());
    let split = Split::new(pattern, SplitDelimiterBehavior::Removed, true).map_err(damaged)?;
    inner.with_pre_tokenizer(Some(Sequence::new(vec![
        PreTokenizerWrapper::Split(split),
        PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, false)),
    ])));
    inner.with_decoder(Some(ByteLevel::new(false, false, false)));
    inner
        .add_tokens(added.into_iter().map(|a| a.token))
        .map_err(damaged)?;
    let mut tokenizer = Tokenizer::new(inner)?;
    tokenizer.word_end = Some(WORD_END);
    Ok(tokenizer)
}

/// The file of merges alone, packed (`.gz`) or not. The vocabulary follows from it: the 256 bytes, the same as word ends, what
/// each merge makes, the special tokens. The first line is a heading.
pub(crate) fn from_merges_alone(path: &Path) -> Result<Tokenizer> {
    let text = if path.extension().is_some_and(|end| end == "gz") {
        unpack(path)?
    } else {
        read_text(path)?
    };
    let lines = text.lines().enumerate().skip(1).take(MERGES);
    let merges: Vec<(String, String)> = lines
        .map(|(number, line)| merge(path, number, line))
        .collect::<Result<_>>()?;
    if merges.len() < MERGES {
        let found = merges.len();
        return Err(files::damaged(
            path,
            format!("expected at least {MERGES} merges, found {found}"),
        ));
    }
    let bytes = byte_alphabet::in_order();
    let ends = bytes.iter().map(|char| format!("{char}{WORD_END}"));
    let tokens = bytes.iter().map(char::to_string).chain(ends);
    let tokens = tokens.chain(merges.iter().map(|(left, right)| format!("{left}{right}")));
    let tokens = tokens.chain(SPECIAL.iter().map(|token| (*token).to_string()));
    let vocabulary = tokens.zip(0..).collect();
    from_merges(vocabulary, merges, Vec::new()).map_err(|error| files::about(path, error))
}

fn unpack(path: &Path) -> Result<String> {
    let packed = read(path)?;
    let mut text = String::new();
    let limit = MAX_VOCABULARY_BYTES;
    let mut reader = flate2::read::GzDecoder::new(&packed[..]).take(limit + 1);
    reader
        .read_to_string(&mut text)
        .map_err(|e| files::damaged(path, e))?;
    crate::tokenizer::check_size(&path.display().to_string(), text.len() as u64)?;
    Ok(text)
}
