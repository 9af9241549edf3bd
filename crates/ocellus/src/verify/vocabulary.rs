//! The tokenizer of a case: from its checkpoint folder, or from the vocabulary file that the user gives.

use std::fs;
use std::path::Path;

use ocellus_text::{MAX_VOCABULARY_BYTES, Tokenizer};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::case::Case;
use super::error::CaseError;

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

/// The case's own tokenizer files count first; else `vocabulary`, a rank file or a `tokenizer.json`.
pub fn tokenizer(case: &Case, vocabulary: Option<&Path>) -> Result<Tokenizer, CaseError> {
    let model = case.model();
    if ["tokenizer.json", "vocab.json"]
        .iter()
        .any(|f| model.join(f).exists())
    {
        return Ok(Tokenizer::from_dir(&model)?);
    }
    let Some(path) = vocabulary else {
        return Err(CaseError::Refused(hint(case)));
    };
    let io = |e: std::io::Error| CaseError::file(path, e);
    let found = fs::metadata(path).map_err(io)?.len();
    if found > MAX_VOCABULARY_BYTES {
        let reason = format!("expected a vocabulary of at most {MAX_VOCABULARY_BYTES} bytes, found {found}");
        return Err(CaseError::file(path, reason));
    }
    let bytes = fs::read(path).map_err(io)?;
    let about = |e: ocellus_text::TextError| CaseError::file(path, e);
    if bytes.trim_ascii_start().starts_with(b"{") {
        return Tokenizer::from_json(&bytes).map_err(about);
    }
    check_sum(case, path, &bytes)?;
    Tokenizer::from_ranks(&bytes, &special(case, &bytes)?).map_err(about)
}

/// What to do when there is no vocabulary.
fn hint(case: &Case) -> String {
    let named = |field: &str| {
        case.options
            .get("vocabulary")
            .and_then(|v| v.get(field))
            .and_then(Value::as_str)
    };
    let which = match (named("file"), named("sha256")) {
        (Some(file), Some(sum)) => format!(" {file} (SHA-256 {sum})"),
        (Some(file), None) => format!(" {file}"),
        _ => String::new(),
    };
    format!(
        "the case needs the vocabulary{which}, which is not part of it: give it with --vocabulary FILE (a rank file or tokenizer.json)"
    )
}

/// Another rank file than the one the case names gives other ids: said before they are compared.
fn check_sum(case: &Case, path: &Path, bytes: &[u8]) -> Result<(), CaseError> {
    let Some(expected) = case
        .options
        .get("vocabulary")
        .and_then(|v| v.get("sha256"))
        .and_then(Value::as_str)
    else {
        return Ok(());
    };
    let found: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
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
