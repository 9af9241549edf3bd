//! Matrices of nothing but zeros: what a download that was broken off leaves in a file of the right size.

use super::Weights;

/// Smaller matrices may be zeros.
const SMALLEST: usize = 1024;
/// Bytes that are looked at first, at the start, in the middle and at the end.
const SAMPLE: usize = 64;

impl Weights {
    /// Names of the matrices that hold nothing but zeros. Of others a few bytes are read.
    pub fn blank(&self) -> Vec<String> {
        let blank = |name: &&String| {
            let entry = &self.tensors[*name].entry;
            let matrix = entry.shape.len() > 1 && entry.shape.iter().product::<usize>() >= SMALLEST;
            let bytes = self.bytes(name).unwrap_or_default();
            matrix && !entry.dtype.is_integer() && bytes.len() > 3 * SAMPLE && zeros(bytes)
        };
        self.tensors.keys().filter(blank).cloned().collect()
    }
}

fn zeros(bytes: &[u8]) -> bool {
    let all = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let places = [0, bytes.len() / 2, bytes.len() - SAMPLE];
    places.iter().all(|at| all(&bytes[*at..][..SAMPLE])) && all(bytes)
}
