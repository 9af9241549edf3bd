//! Task `positions`: three-axis positions from a config alone.

use crate::case::Case;
use crate::checkpoint;
use crate::error::CaseError;
use crate::produced::Produced;
use crate::rows::Rows;

pub fn run(case: &Case, out: &mut Produced) -> Result<(), CaseError> {
    let facts = checkpoint::facts(case)?;
    let rows = Rows::read(case, &facts)?;
    let (ids, deltas) = rows.as_reference(&rows.positions(case, &facts)?);
    out.put("position_ids", ids);
    out.put("rope_deltas", deltas);
    Ok(())
}
