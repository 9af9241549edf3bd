//! The tokenizer of a case: from its checkpoint folder, or from the vocabulary file that the user gives.

use std::path::{Path, PathBuf};

use ocellus_text::{MAX_VOCABULARY_BYTES, Tekken, TekkenImages, TextError, Tokenizer};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::case::Case;
use crate::error::CaseError;

/// Special tokens of the published rank file, which does not hold them: their ids follow the ranks in this order.
const SPECIAL: &[&str] = &[
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
];

/// Vocabularies for the cases that need one and do not have it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Vocabularies<'v> {
    /// Rank files, `tekken.json` and `tokenizer.json`.
    pub files: &'v [PathBuf],
    /// How a user gives one, in the words of the report of a case that lacks it.
    pub how_to_give: &'v str,
}

/// A vocabulary as it is used.
pub struct Vocabulary {
    pub tokenizer: Tokenizer,
    /// How pictures become cells, where the vocabulary says so.
    pub images: Option<TekkenImages>,
    /// The publisher's encoder takes special tokens in a text for text.
    specials_are_text: bool,
}

impl Vocabulary {
    fn new(tokenizer: Tokenizer) -> Self {
        Self {
            tokenizer,
            images: None,
            specials_are_text: false,
        }
    }

    pub fn encode(&self, text: &str) -> Result<Vec<u32>, CaseError> {
        let encoded = match self.specials_are_text {
            true => self.tokenizer.encode_plain(text),
            false => self.tokenizer.encode(text),
        };
        Ok(encoded?)
    }
}

/// The case's own tokenizer files count first; else one of `vocabularies`: a rank file, a `tekken.json` or a
/// `tokenizer.json`.
pub fn read(case: &Case, vocabularies: &Vocabularies) -> Result<Vocabulary, CaseError> {
    match Tokenizer::from_dir(&case.model()) {
        Ok(tokenizer) => return Ok(Vocabulary::new(tokenizer)),
        Err(TextError::NoTokenizer { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let (path, bytes) = choose(case, vocabularies)?;
    let about = |e: TextError| CaseError::file(path, e);
    if !bytes.trim_ascii_start().starts_with(b"{") {
        check_sum(case, path, &bytes)?;
        let special = special(case, &bytes)?;
        let tokenizer = Tokenizer::from_ranks(&bytes, &special).map_err(about)?;
        return with_spans(case, tokenizer).map(Vocabulary::new);
    }
    if !Tekken::is_meant(&bytes) {
        return Tokenizer::from_json(&bytes).map(Vocabulary::new).map_err(about);
    }
    check_sum(case, path, &bytes)?;
    let tekken = Tekken::from_json(&bytes).map_err(about)?;
    Ok(Vocabulary {
        tokenizer: tekken.tokenizer,
        images: tekken.images,
        specials_are_text: true,
    })
}

/// Ids of a picture's address where the case does not say otherwise.
const SPAN_IDS: usize = 256;

/// Special tokens for addresses of pictures mean that these are written byte by byte.
fn with_spans(case: &Case, tokenizer: Tokenizer) -> Result<Tokenizer, CaseError> {
    let [open, close, pad] = ["<img>", "</img>", "<imgpad>"];
    if [open, close, pad]
        .iter()
        .any(|token| tokenizer.token_id(token).is_none())
    {
        return Ok(tokenizer);
    }
    let ids = case.count("image_tokens")?.unwrap_or(SPAN_IDS);
    Ok(tokenizer.with_byte_spans(open, close, pad, ids)?)
}

/// The vocabulary that the case names. A single one is taken as meant, and its checksum looked at later.
fn choose<'v>(case: &Case, vocabularies: &Vocabularies<'v>) -> Result<(&'v Path, Vec<u8>), CaseError> {
    let Some((first, others)) = vocabularies.files.split_first() else {
        return Err(CaseError::Refused(lacking(case, vocabularies.how_to_give)));
    };
    let Some(expected) = named(case, "sha256").filter(|_| !others.is_empty()) else {
        return Ok((first, bytes(first)?));
    };
    for path in vocabularies.files {
        let bytes = bytes(path)?;
        if sum(&bytes).eq_ignore_ascii_case(expected) {
            return Ok((path, bytes));
        }
    }
    let given = vocabularies.files.len();
    Err(CaseError::Refused(format!(
        "none of the {given} vocabularies given has the SHA-256 {expected} that the case names"
    )))
}

fn bytes(path: &Path) -> Result<Vec<u8>, CaseError> {
    let io = |e: std::io::Error| CaseError::file(path, e);
    ocellus_base::files::read(path, MAX_VOCABULARY_BYTES).map_err(io)
}

/// A field of `options.vocabulary`.
fn named<'c>(case: &'c Case, field: &str) -> Option<&'c str> {
    case.options.get("vocabulary")?.get(field)?.as_str()
}

fn sum(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What to say when there is no vocabulary.
fn lacking(case: &Case, how_to_give: &str) -> String {
    let which = match (named(case, "file"), named(case, "sha256")) {
        (Some(file), Some(sum)) => format!(" {file} (SHA-256 {sum})"),
        (Some(file), None) => format!(" {file}"),
        _ => String::new(),
    };
    format!("the case needs the vocabulary{which}, which is not part of it: {how_to_give}")
}

/// Another rank file than the one the case names gives other ids: said before they are compared.
fn check_sum(case: &Case, path: &Path, bytes: &[u8]) -> Result<(), CaseError> {
    let Some(expected) = named(case, "sha256") else {
        return Ok(());
    };
    let found = sum(bytes);
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(CaseError::file(
        path,
        format!("expected the vocabulary with SHA-256 {expected}, found {found}"),
    ))
}

/// `options.special_tokens`, else the published ones.
fn special(case: &Case, ranks: &[u8]) -> Result<Vec<(String, u32)>, CaseError> {
    let Some(given) = case.options.get("special_tokens").filter(|v| !v.is_null()) else {
        let first = ranks
            .split(|b| *b == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .count();
        return Ok((first as u32..)
            .zip(SPECIAL)
            .map(|(id, token)| ((*token).to_owned(), id))
            .collect());
    };
    let wrong = || case.wrong_option("special_tokens", "texts with their ids");
    let entry = |(token, id): (&String, &Value)| {
        let id = id
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(wrong)?;
        Ok::<_, CaseError>((token.clone(), id))
    };
    let mut tokens = given
        .as_object()
        .ok_or_else(wrong)?
        .iter()
        .map(entry)
        .collect::<Result<Vec<_>, _>>()?;
    tokens.sort_by_key(|(_, id)| *id);
    Ok(tokens)
}
