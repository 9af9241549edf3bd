//! Matrices of nothing but zeros, which a download that was broken off leaves in a file of the right size, and of no numbers, which
//! training that diverged leaves.

use super::{Placed, Weights};
use crate::Dtype;

/// Smaller matrices may be zeros.
const SMALLEST: usize = 1024;
/// Bytes that are looked at first, at the start, in the middle and at the end.
const SAMPLE: usize = 64;

impl Weights {
    /// Names of the matrices that hold nothing but zeros. Of others a few bytes are read.
    pub fn blank(&self) -> Vec<String> {
        self.judged(|bytes, _| zeros(bytes))
    }

    /// Names of the matrices that hold no numbers (NaN) wherever a few bytes of them are looked at.
    pub fn without_numbers(&self) -> Vec<String> {
        self.judged(|bytes, dtype| places(bytes).iter().all(|sample| no_numbers(sample, dtype)))
    }

    /// Names of the stored matrices that are large enough to be judged, and are so by `of`.
    fn judged(&self, of: impl Fn(&[u8], Dtype) -> bool) -> Vec<String> {
        let fits = |(name, placed): &(&String, &Placed)| {
            let entry = &placed.entry;
            let matrix = entry.shape.len() > 1 && entry.shape.iter().product::<usize>() >= SMALLEST;
            let bytes = self.bytes(name).unwrap_or_default();
            matrix && !entry.dtype.is_integer() && bytes.len() > 3 * SAMPLE && of(bytes, entry.dtype)
        };
        let found = self.tensors.iter().filter(fits);
        found.map(|(name, _)| name.clone()).collect()
    }
}

/// The bytes that are looked at first. A place is a multiple of every element's size.
fn places(bytes: &[u8]) -> [&[u8]; 3] {
    let middle = bytes.len() / 2 / SAMPLE * SAMPLE;
    [0, middle, bytes.len() - SAMPLE].map(|at| &bytes[at..][..SAMPLE])
}

fn no_numbers(bytes: &[u8], dtype: Dtype) -> bool {
    let all = |of: fn(u16) -> bool| {
        let mut halves = bytes.as_chunks::<2>().0.iter();
        halves.all(|half| of(u16::from_le_bytes(*half)))
    };
    match dtype {
        Dtype::F32 => bytes
            .as_chunks::<4>()
            .0
            .iter()
            .all(|value| f32::from_le_bytes(*value).is_nan()),
        Dtype::F16 => all(|half| half::f16::from_bits(half).is_nan()),
        Dtype::Bf16 => all(|half| half::bf16::from_bits(half).is_nan()),
        _ => false,
    }
}

fn zeros(bytes: &[u8]) -> bool {
    let all = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    places(bytes).into_iter().all(all) && all(bytes)
}
