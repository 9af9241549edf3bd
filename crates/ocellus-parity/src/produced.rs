//! What a task computed.

use std::collections::BTreeMap;

use crate::array::Array;
use crate::compare::Row;

/// Tensors by the names that the case gives them, and checks that the case implies without naming a tensor.
#[derive(Default)]
pub struct Produced {
    pub arrays: BTreeMap<String, Array>,
    /// Rows of our own, behind the expected ones.
    pub own: Vec<Row>,
}

impl Produced {
    pub fn put(&mut self, name: impl Into<String>, array: Array) {
        self.arrays.insert(name.into(), array);
    }

    /// A row of our own, behind the expected ones.
    pub fn also(&mut self, row: Row) {
        self.own.push(row);
    }
}
