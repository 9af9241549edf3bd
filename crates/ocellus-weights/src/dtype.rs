//! Element types, under the names that the safetensors header uses.

use std::fmt;

/// Element type of a stored tensor. Values are little-endian on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dtype {
    Bool,
    U8,
    I8,
    F8E4M3,
    F8E5M2,
    U16,
    I16,
    F16,
    Bf16,
    U32,
    I32,
    F32,
    U64,
    I64,
    F64,
}

/// Type, name in the header, size of one element in bytes.
const TABLE: &[(Dtype, &str, usize)] = &[
    (Dtype::Bool, "BOOL", 1),
    (Dtype::U8, "U8", 1),
    (Dtype::I8, "I8", 1),
    (Dtype::F8E4M3, "F8_E4M3", 1),
    (Dtype::F8E5M2, "F8_E5M2", 1),
    (Dtype::U16, "U16", 2),
    (Dtype::I16, "I16", 2),
    (Dtype::F16, "F16", 2),
    (Dtype::Bf16, "BF16", 2),
    (Dtype::U32, "U32", 4),
    (Dtype::I32, "I32", 4),
    (Dtype::F32, "F32", 4),
    (Dtype::U64, "U64", 8),
    (Dtype::I64, "I64", 8),
    (Dtype::F64, "F64", 8),
];

impl Dtype {
    /// Every element type, in the order of the enum.
    pub fn all() -> impl Iterator<Item = Dtype> {
        TABLE.iter().map(|row| row.0)
    }

    /// Bytes of one element.
    pub fn size_bytes(self) -> usize {
        TABLE[self as usize].2
    }

    /// Name in a safetensors header, such as `BF16`.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// The type that a header calls `name`.
    pub fn from_name(name: &str) -> Option<Dtype> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (row, dtype) in TABLE.iter().zip(Dtype::all()) {
            assert_eq!(row.0 as usize, TABLE.iter().position(|r| r.0 == dtype).unwrap());
            assert_eq!(Dtype::from_name(dtype.name()), Some(dtype));
            assert_eq!(row.2, dtype.size_bytes());
        }
        assert_eq!(Dtype::from_name("bf16"), None);
    }
}
