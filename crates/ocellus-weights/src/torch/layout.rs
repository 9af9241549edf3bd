//! Shape, strides and offset of a tensor, checked against its storage.

use super::value::TensorRef;
use crate::Dtype;
use std::ops::Range;

/// A tensor that lies inside its storage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TensorLayout {
    pub shape: Vec<usize>,
    strides: Vec<usize>,
    /// First element, counted in the storage.
    first: usize,
    element_bytes: usize,
}

impl TensorLayout {
    /// Checks `tensor` against a storage of `available` elements of `dtype`; the error is the reason.
    pub(super) fn check(tensor: &TensorRef, dtype: Dtype, available: usize) -> Result<TensorLayout, String> {
        let TensorRef {
            shape,
            strides,
            offset,
            ..
        } = tensor;
        let counts = |values: &[i64]| -> Option<Vec<usize>> {
            values.iter().map(|value| usize::try_from(*value).ok()).collect()
        };
        let (Some(shape), Some(strides), Ok(first)) =
            (counts(shape), counts(strides), usize::try_from(*offset))
        else {
            return Err(format!(
                "shape {shape:?}, strides {strides:?} and offset {offset} may not be negative"
            ));
        };
        if shape.len() != strides.len() {
            let (axes, found) = (shape.len(), strides.len());
            return Err(format!("{axes} dimensions have {found} strides"));
        }
        let layout = TensorLayout {
            shape,
            strides,
            first,
            element_bytes: dtype.size_bytes(),
        };
        let Some(end) = layout.end() else {
            return Err(format!(
                "shape {:?} has more bytes than can be addressed",
                layout.shape
            ));
        };
        if end > available {
            return Err(format!(
                "it ends at element {end} of its storage, which holds {available}"
            ));
        }
        // An expanded tensor repeats elements: a few bytes of a file could ask for any amount of memory.
        if layout.elements() > available {
            return Err(format!(
                "shape {:?} with strides {:?} repeats the {available} elements of its storage",
                layout.shape, layout.strides
            ));
        }
        Ok(layout)
    }

    /// The element after the last one, or `None` on overflow. Zeros do not hide an overflow of the other sides.
    fn end(&self) -> Option<usize> {
        self.shape.iter().try_fold(self.element_bytes, |bytes, side| {
            bytes.checked_mul((*side).max(1))
        })?;
        if self.shape.contains(&0) {
            return Some(self.first);
        }
        let mut last = self.first;
        for (side, stride) in self.shape.iter().zip(&self.strides) {
            last = last.checked_add((side - 1).checked_mul(*stride)?)?;
        }
        last.checked_add(1)
    }

    fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of the tensor, row-major.
    pub(super) fn bytes(&self) -> usize {
        self.elements() * self.element_bytes
    }

    /// Where the tensor lies in its storage, in bytes, if it lies there row-major and without gaps.
    pub(super) fn contiguous(&self) -> Option<Range<usize>> {
        let mut expected = 1;
        for (side, stride) in self.shape.iter().zip(&self.strides).rev() {
            if *side > 1 && *stride != expected && self.elements() > 0 {
                return None;
            }
            expected *= side;
        }
        let start = self.first * self.element_bytes;
        Some(start..start + self.bytes())
    }

    /// The elements in row-major order, copied out of `storage`.
    pub(super) fn gather(&self, storage: &[u8]) -> Vec<u8> {
        let mut gathered = Vec::with_capacity(self.bytes());
        let mut index = vec![0; self.shape.len()];
        for _ in 0..self.elements() {
            let place: usize = index
                .iter()
                .zip(&self.strides)
                .map(|(i, stride)| i * stride)
                .sum();
            let start = (self.first + place) * self.element_bytes;
            gathered.extend_from_slice(&storage[start..start + self.element_bytes]);
            for (i, side) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *side {
                    break;
                }
                *i = 0;
            }
        }
        gathered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(offset: i64, shape: &[i64], strides: &[i64]) -> TensorRef {
        TensorRef {
            storage: 0,
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    #[test]
    fn rows_without_gaps_are_ranges() {
        for (offset, shape, strides, range) in [
            (0, &[2, 3][..], &[3, 1][..], Some(0..24)),
            (1, &[5], &[1], Some(4..24)),
            (2, &[], &[], Some(8..12)),
            (0, &[1, 3], &[0, 1], Some(0..12)),
            (3, &[1], &[77], Some(12..16)),
            (6, &[0, 4], &[4, 1], Some(24..24)),
            (0, &[3, 2], &[1, 3], None),
            (0, &[2, 2], &[3, 1], None),
        ] {
            let layout = TensorLayout::check(&tensor(offset, shape, strides), Dtype::F32, 6).unwrap();
            assert_eq!(layout.contiguous(), range, "{shape:?} {strides:?}");
        }
    }

    #[test]
    fn strided_tensors_are_gathered_in_the_order_of_rows() {
        let storage = [0, 1, 2, 3, 4, 5];
        for (offset, shape, strides, expected) in [
            (0, &[3, 2][..], &[1, 3][..], &[0, 3, 1, 4, 2, 5][..]),
            (1, &[2, 2], &[3, 1], &[1, 2, 4, 5]),
            (0, &[2, 1, 3], &[3, 0, 1], &[0, 1, 2, 3, 4, 5]),
            (0, &[2, 2], &[0, 1], &[0, 1, 0, 1]),
            (5, &[], &[], &[5]),
            (0, &[3], &[2], &[0, 2, 4]),
        ] {
            let layout = TensorLayout::check(&tensor(offset, shape, strides), Dtype::U8, 6).unwrap();
            assert_eq!(layout.gather(&storage), expected, "{shape:?} {strides:?}");
        }
        let pairs = TensorLayout::check(&tensor(0, &[3], &[1]), Dtype::F16, 3).unwrap();
        assert_eq!(pairs.gather(&storage), storage);
    }

    #[test]
    fn tensors_that_leave_their_storage_are_refused() {
        for (offset, shape, strides, reason) in [
            (0, &[7][..], &[1][..], "ends at element 7"),
            (6, &[1], &[1], "ends at element 7"),
            (7, &[0], &[1], "ends at element 7"),
            (0, &[2], &[6], "ends at element 7"),
            (-1, &[2], &[1], "may not be negative"),
            (0, &[-2], &[1], "may not be negative"),
            (2, &[2], &[-1], "may not be negative"),
            (0, &[2], &[], "1 dimensions have 0 strides"),
            (0, &[7], &[0], "repeats the 6 elements"),
            (0, &[1 << 40], &[0], "repeats"),
            (0, &[i64::MAX, 3], &[0, 0], "can be addressed"),
            (0, &[0, i64::MAX, i64::MAX], &[0, 0, 0], "can be addressed"),
            (0, &[2], &[i64::MAX], "ends at element"),
            (i64::MAX, &[3], &[i64::MAX], "can be addressed"),
        ] {
            let error = TensorLayout::check(&tensor(offset, shape, strides), Dtype::U8, 6).unwrap_err();
            assert!(error.contains(reason), "{shape:?} {strides:?}: {error}");
        }
    }
}
