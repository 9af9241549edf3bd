//! Task `tokens`: strings to ids.

use std::path::Path;

use ocellus_text::Tokenizer;

use super::array::Array;
use super::case::Case;
use super::error::CaseError;
use super::{Produced, vocabulary};

pub fn run(case: &Case, vocabulary: Option<&Path>, out: &mut Produced) -> Result<(), CaseError> {
    case.option("strings", "a list of texts")?;
    let strings = case.texts("strings")?;
    encode(&vocabulary::tokenizer(case, vocabulary)?, strings, out)
}

/// Puts `ids`, all strings' one after another, and `offsets`, where each begins and the last one ends.
pub fn encode<'s>(
    tokenizer: &Tokenizer,
    strings: impl IntoIterator<Item = &'s str>,
    out: &mut Produced,
) -> Result<(), CaseError> {
    let (mut ids, mut offsets) = (Vec::new(), vec![0]);
    for string in strings {
        ids.extend(tokenizer.encode(string)?);
        offsets.push(ids.len());
    }
    out.put("ids", Array::ids(&ids));
    out.put("offsets", Array::counts(offsets));
    Ok(())
}
