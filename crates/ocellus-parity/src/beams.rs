//! Beam search in the reference's layout, through the engine's.

use ocellus_engine::{Beams, Hypothesis, Request, search};
use ocellus_models::Vlm;
use serde_json::Value;

use crate::array::Array;
use crate::case::Case;
use crate::decoding::Decoding;
use crate::error::CaseError;
use crate::produced::Produced;

/// `beam_ids` `[request, rank, position]`, best first, and `beam_scores`.
pub fn run(
    case: &Case,
    model: &dyn Vlm,
    decoding: &Decoding,
    requests: &[Request],
    out: &mut Produced,
) -> Result<(), CaseError> {
    let width = width(case)?;
    let length_penalty = case
        .option("length_penalty", "a number")?
        .as_f64()
        .ok_or_else(|| case.wrong_option("length_penalty", "a number"))?;
    let found = search(
        model,
        requests,
        Beams {
            width,
            length_penalty,
        },
    )?;
    let new = |h: &Hypothesis| -> Vec<u32> { h.tokens.iter().map(|t| t.id).chain(h.end).collect() };
    let longest = found.iter().flatten().map(|h| new(h).len()).max().unwrap_or(0);
    let rows: Vec<Vec<i64>> = (found.iter().enumerate())
        .flat_map(|(i, ranks)| ranks.iter().map(move |h| (i, h)))
        .map(|(i, h)| decoding.row(i, &new(h), longest))
        .collect();
    let columns = rows.first().map_or(0, Vec::len);
    if rows.len() == found.len() * width {
        out.put(
            "beam_ids",
            Array::integers([found.len(), width, columns], rows.concat()),
        );
        let scores = found.iter().flatten().map(|h| h.score).collect();
        out.put("beam_scores", Array::floats([found.len(), width], scores));
    }
    Ok(())
}

/// The width of the search: an option that is a number, or a list of widths that the case was run with, one of which is 1
/// for greedy decoding.
fn width(case: &Case) -> Result<usize, CaseError> {
    let wrong = || case.wrong_option("num_beams", "a count, or a list of counts");
    let count = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    match case.option("num_beams", "a count, or a list of counts")? {
        Value::Array(widths) => widths.iter().filter_map(count).max().ok_or_else(wrong),
        one => count(one).ok_or_else(wrong),
    }
}
