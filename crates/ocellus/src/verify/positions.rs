//! Task `positions`: three-axis positions from a config alone.

use super::case::Case;
use super::error::CaseError;
use super::rows::Rows;
use super::{Produced, checkpoint};

pub fn run(case: &Case, out: &mut Produced) -> Result<(), CaseError> {
    let facts = checkpoint::facts(case)?;
    let rows = Rows::read(case, &facts)?;
    let (ids, deltas) = rows.as_reference(&rows.positions(case, &facts)?);
    out.put("position_ids", ids);
    out.put("rope_deltas", deltas);
    Ok(())
}
