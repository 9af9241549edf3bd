//! The verdict on one case.

use crate::compare::Row;

/// What came of one case.
#[derive(Debug)]
pub struct CaseReport {
    /// The name of its folder.
    pub case: String,
    /// Empty when `case.json` could not be read.
    pub family: String,
    /// A row for every expected tensor, from early to late, then rows of our own.
    pub rows: Vec<Row>,
    /// What its checkpoint warned of, where that is no error.
    pub warnings: Vec<String>,
    /// Why the case could not be read or run to its end.
    pub trouble: Option<String>,
}

impl CaseReport {
    pub fn pass(&self) -> bool {
        self.trouble.is_none() && self.rows.iter().all(|r| r.pass)
    }

    /// The first failing row: the first wrong stage.
    pub fn first_wrong(&self) -> Option<&Row> {
        self.rows.iter().find(|r| !r.pass)
    }
}
