//! Numbers of types, as the format lists them.

use crate::Dtype;

/// Types of tensors that are read.
const READ: &[(u32, Dtype)] = &[
    (0, Dtype::F32),
    (1, Dtype::F16),
    (2, Dtype::Q4_0),
    (3, Dtype::Q4_1),
    (6, Dtype::Q5_0),
    (7, Dtype::Q5_1),
    (8, Dtype::Q8_0),
    (10, Dtype::Q2K),
    (11, Dtype::Q3K),
    (12, Dtype::Q4K),
    (13, Dtype::Q5K),
    (14, Dtype::Q6K),
    (15, Dtype::Q8K),
    (20, Dtype::Iq4Nl),
    (23, Dtype::Iq4Xs),
    (30, Dtype::Bf16),
    (39, Dtype::Mxfp4),
];

/// Names of the others.
const NOT_READ: &[(u32, &str)] = &[
    (4, "Q4_2"),
    (5, "Q4_3"),
    (9, "Q8_1"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (36, "IQ4_NL_4_4"),
    (37, "IQ4_NL_4_8"),
    (38, "IQ4_NL_8_8"),
    (40, "NVFP4"),
    (41, "Q1_0"),
    (42, "Q2_0"),
];

/// The type with this number, or the name that one which is not read goes by.
pub(super) fn of_tensor(number: u32) -> Result<Dtype, String> {
    let by = |row: &&(u32, Dtype)| row.0 == number;
    if let Some((_, dtype)) = READ.iter().find(by) {
        return Ok(*dtype);
    }
    let name = NOT_READ.iter().find(|row| row.0 == number);
    Err(name.map_or_else(|| format!("type {number}"), |row| row.1.to_string()))
}

/// The types that are read, for messages.
pub(super) fn read() -> String {
    let names: Vec<&str> = READ.iter().map(|row| row.1.name()).collect();
    names.join(", ")
}

/// Types of metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    pub fn of(number: u32) -> Option<Kind> {
        use Kind::*;
        const ORDER: [Kind; 13] = [U8, I8, U16, I16, U32, I32, F32, Bool, Text, Array, U64, I64, F64];
        ORDER.get(number as usize).copied()
    }

    /// Bytes of a value of a fixed size.
    pub fn size_bytes(self) -> Option<usize> {
        Some(match self {
            Kind::U8 | Kind::I8 | Kind::Bool => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 => 8,
            Kind::Text | Kind::Array => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_meaning() {
        for number in 0..64 {
            let read = READ.iter().filter(|row| row.0 == number).count();
            let named = NOT_READ.iter().filter(|row| row.0 == number).count();
            assert!(read + named <= 1, "{number}");
            assert_eq!(of_tensor(number).is_ok(), read == 1, "{number}");
        }
        assert_eq!(of_tensor(16).unwrap_err(), "IQ2_XXS");
        assert_eq!(of_tensor(99).unwrap_err(), "type 99");
    }
}
