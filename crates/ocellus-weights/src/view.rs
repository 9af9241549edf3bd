//! A borrowed tensor and its conversions.

use crate::{Dtype, Grouped, Result, WeightsError, blocks, minifloat};
use half::{bf16, f16};
use std::borrow::Cow;
use std::ops::Range;

/// One tensor as it is stored: element type, shape and little-endian bytes, row-major.
///
/// `bytes` has no alignment: read elements with `from_le_bytes`, or use the conversions below. They are borrowed from the file
/// unless the tensor was put together ([`crate::Assembly`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View<'a> {
    pub name: &'a str,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Cow<'a, [u8]>,
}

impl View<'_> {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.bytes.len() / self.dtype.size_bytes() * self.dtype.block_elements()
    }

    /// All elements as f32, exact for floating-point types of 32 bits and fewer; of quantised types what the integers stand for, rounded once. An error
    /// for every other type.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        let bytes = &self.bytes;
        Ok(match self.dtype {
            Dtype::F32 => each(bytes, f32::from_le_bytes),
            Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::Bf16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F8E4M3 | Dtype::F8E5M2 | Dtype::F8E8M0 => {
                let values = minifloat::values(self.dtype);
                bytes.iter().map(|code| values[usize::from(*code)]).collect()
            }
            dtype => blocks::to_f32(dtype, bytes).ok_or_else(|| self.wrong("F32, F16 or BF16"))?,
        })
    }

    /// The elements from `first` on as f32, as many as `into` holds; as [`View::to_f32`]. Of quantised types, whole blocks.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn read_f32(&self, first: usize, into: &mut [f32]) -> Result<()> {
        let (size, block) = (self.dtype.size_bytes(), self.dtype.block_elements());
        let bytes = &self.bytes[first / block * size..(first + into.len()) / block * size];
        match self.dtype {
            Dtype::F32 => fill(into, bytes, f32::from_le_bytes),
            Dtype::F16 => fill(into, bytes, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::Bf16 => fill(into, bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F8E4M3 | Dtype::F8E5M2 | Dtype::F8E8M0 => {
                let values = minifloat::values(self.dtype);
                fill(into, bytes, |[code]| values[usize::from(code)]);
            }
            dtype => {
                let values = blocks::to_f32(dtype, bytes).ok_or_else(|| self.wrong("F32, F16 or BF16"))?;
                into.copy_from_slice(&values);
            }
        }
        Ok(())
    }

    /// Some rows of a quantised tensor as they are stored, unpacked; axes behind the first count as one. `None` for a plain
    /// type, and for rows that the tensor does not have.
    pub fn grouped(&self, rows: Range<usize>) -> Option<Grouped> {
        let (bytes, cols) = self.blocks(&rows)?;
        blocks::grouped(self.dtype, bytes, rows.len(), cols)
    }

    /// The largest scale or offset in size of [`grouped`](Self::grouped), without unpacking the values.
    pub fn largest_number(&self, rows: Range<usize>) -> Option<f32> {
        blocks::largest(self.dtype, self.blocks(&rows)?.0)
    }

    /// The bytes of some rows of a quantised tensor, and the columns of a row.
    fn blocks(&self, rows: &Range<usize>) -> Option<(&[u8], usize)> {
        let (count, inner) = self.shape.split_first()?;
        if !self.dtype.is_quantised() || inner.is_empty() || rows.start > rows.end || rows.end > *count {
            return None;
        }
        let (cols, row_bytes) = (inner.iter().product(), self.bytes.len() / count);
        Some((&self.bytes[rows.start * row_bytes..rows.end * row_bytes], cols))
    }

    /// All elements as i64, from any integer type. A U64 above `i64::MAX` is an error.
    pub fn to_i64(&self) -> Result<Vec<i64>> {
        Ok(match self.dtype {
            Dtype::I64 => each(&self.bytes, i64::from_le_bytes),
            Dtype::I32 => each(&self.bytes, |b| i32::from_le_bytes(b).into()),
            Dtype::I16 => each(&self.bytes, |b| i16::from_le_bytes(b).into()),
            Dtype::I8 => each(&self.bytes, |b| i8::from_le_bytes(b).into()),
            Dtype::U32 => each(&self.bytes, |b| u32::from_le_bytes(b).into()),
            Dtype::U16 => each(&self.bytes, |b| u16::from_le_bytes(b).into()),
            Dtype::U8 => each(&self.bytes, |b| u8::from_le_bytes(b).into()),
            Dtype::U64 => {
                let values = each(&self.bytes, u64::from_le_bytes);
                let fits =
                    |(at, &value): (usize, &u64)| i64::try_from(value).map_err(|_| self.too_large(at, value));
                return values.iter().enumerate().map(fits).collect();
            }
            _ => return Err(self.wrong("an integer type")),
        })
    }

    fn wrong(&self, expected: &'static str) -> WeightsError {
        WeightsError::WrongDtype {
            tensor: self.name.to_string(),
            expected,
            found: self.dtype,
        }
    }

    fn too_large(&self, at: usize, value: u64) -> WeightsError {
        let (tensor, value) = (self.name.to_string(), value.to_string());
        WeightsError::Unrepresentable {
            tensor,
            at,
            value,
            expected: "a 64-bit signed integer",
        }
    }
}

/// Reads `N` bytes at a time. A tail shorter than `N` cannot occur: lengths were checked when the file was opened.
fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| read(*chunk)).collect()
}

fn fill<const N: usize>(into: &mut [f32], bytes: &[u8], read: impl Fn([u8; N]) -> f32) {
    let (chunks, _) = bytes.as_chunks::<N>();
    into.iter_mut()
        .zip(chunks)
        .for_each(|(to, chunk)| *to = read(*chunk));
}
