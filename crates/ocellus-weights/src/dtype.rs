//! Element types, under the names that file headers use.

use std::fmt;

/// Element type of a stored tensor. Values are little-endian on disk.
///
/// The plain types are those of safetensors. The quantised ones (blocks) are those of GGUF files: rows are cut into blocks of 32
/// or 256 elements, a block keeps small integers and what they are multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dtype {
    Bool,
    U8,
    I8,
    F8E4M3,
    F8E5M2,
    F8E8M0,
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
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
    Q2K,
    Q3K,
    Q8K,
    Iq4Nl,
    Iq4Xs,
    Mxfp4,
}

/// Type, name in the header, elements and bytes of what is stored together: one element, or a block.
const TABLE: &[(Dtype, &str, usize, usize)] = &[
    (Dtype::Bool, "BOOL", 1, 1),
    (Dtype::U8, "U8", 1, 1),
    (Dtype::I8, "I8", 1, 1),
    (Dtype::F8E4M3, "F8_E4M3", 1, 1),
    (Dtype::F8E5M2, "F8_E5M2", 1, 1),
    (Dtype::F8E8M0, "F8_E8M0", 1, 1),
    (Dtype::U16, "U16", 1, 2),
    (Dtype::I16, "I16", 1, 2),
    (Dtype::F16, "F16", 1, 2),
    (Dtype::Bf16, "BF16", 1, 2),
    (Dtype::U32, "U32", 1, 4),
    (Dtype::I32, "I32", 1, 4),
    (Dtype::F32, "F32", 1, 4),
    (Dtype::U64, "U64", 1, 8),
    (Dtype::I64, "I64", 1, 8),
    (Dtype::F64, "F64", 1, 8),
    (Dtype::Q4_0, "Q4_0", 32, 18),
    (Dtype::Q4_1, "Q4_1", 32, 20),
    (Dtype::Q5_0, "Q5_0", 32, 22),
    (Dtype::Q5_1, "Q5_1", 32, 24),
    (Dtype::Q8_0, "Q8_0", 32, 34),
    (Dtype::Q4K, "Q4_K", 256, 144),
    (Dtype::Q5K, "Q5_K", 256, 176),
    (Dtype::Q6K, "Q6_K", 256, 210),
    (Dtype::Q2K, "Q2_K", 256, 84),
    (Dtype::Q3K, "Q3_K", 256, 110),
    (Dtype::Q8K, "Q8_K", 256, 292),
    (Dtype::Iq4Nl, "IQ4_NL", 32, 18),
    (Dtype::Iq4Xs, "IQ4_XS", 256, 136),
    (Dtype::Mxfp4, "MXFP4", 32, 17),
];

impl Dtype {
    /// Every plain element type, in the order of the enum.
    pub fn all() -> impl Iterator<Item = Dtype> {
        TABLE
            .iter()
            .map(|row| row.0)
            .filter(|dtype| !dtype.is_quantised())
    }

    /// Every quantised type, in the order of the enum.
    pub fn quantised() -> impl Iterator<Item = Dtype> {
        TABLE.iter().map(|row| row.0).filter(|dtype| dtype.is_quantised())
    }

    /// Whether its values are whole numbers.
    pub fn is_integer(self) -> bool {
        let name = self.name();
        name == "BOOL" || (name.starts_with(['U', 'I']) && !self.is_quantised())
    }

    pub fn is_quantised(self) -> bool {
        self.block_elements() > 1
    }

    /// Elements that are stored together: 1, or those of a block.
    pub fn block_elements(self) -> usize {
        TABLE[self as usize].2
    }

    /// Bytes of one element; of a quantised type, of one block.
    pub fn size_bytes(self) -> usize {
        TABLE[self as usize].3
    }

    /// Name in a header, such as `BF16` or `Q4_K`.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// The plain type that a safetensors header calls `name`.
    pub fn from_name(name: &str) -> Option<Dtype> {
        Dtype::all().find(|dtype| dtype.name() == name)
    }

    /// Bytes of a tensor of this type; `None` when they do not fit a `usize`, or when rows are not whole blocks.
    ///
    /// No shortcut for zeros: an empty tensor may not hide an overflow in front of its empty axis.
    pub(crate) fn length_bytes(self, shape: &[usize]) -> Option<usize> {
        let block = self.block_elements();
        let whole = |at: usize, side: usize| match at + 1 == shape.len() {
            true => side.is_multiple_of(block).then_some(side / block),
            false => Some(side),
        };
        let blocked = block == 1 || !shape.is_empty();
        let start = blocked.then_some(self.size_bytes())?;
        let mut sides = shape.iter().enumerate();
        sides.try_fold(start, |bytes, (at, &side)| bytes.checked_mul(whole(at, side)?))
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
        for (row, dtype) in TABLE.iter().zip(Dtype::all().chain(Dtype::quantised())) {
            assert_eq!(row.0 as usize, TABLE.iter().position(|r| r.0 == dtype).unwrap());
            assert_eq!(row.1, dtype.name());
            assert_eq!((row.2, row.3), (dtype.block_elements(), dtype.size_bytes()));
            // Safetensors have no blocks.
            let read = Dtype::from_name(dtype.name());
            assert_eq!(read, Some(dtype).filter(|d| !d.is_quantised()));
        }
        assert_eq!(Dtype::from_name("bf16"), None);
    }

    #[test]
    fn rows_are_whole_blocks() {
        assert_eq!(Dtype::F32.length_bytes(&[]), Some(4));
        assert_eq!(Dtype::F32.length_bytes(&[2, 3]), Some(24));
        assert_eq!(Dtype::F32.length_bytes(&[usize::MAX, 0]), None);
        assert_eq!(Dtype::Q8_0.length_bytes(&[]), None);
        assert_eq!(Dtype::Q8_0.length_bytes(&[3, 64]), Some(3 * 2 * 34));
        assert_eq!(Dtype::Q8_0.length_bytes(&[32, 3]), None);
        assert_eq!(Dtype::Q6K.length_bytes(&[usize::MAX, 256]), None);
    }
}
