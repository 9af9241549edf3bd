//! Quantised values in one form, whatever the file's: unsigned integers of which groups share a scale and an offset.

/// Rows of a quantised matrix, unpacked exactly: `w = scale * value + offset`, with no rounding on the way from the file.
///
/// `scales` and `offsets` are f32 because that is what the stored halves, or their products with small integers, are
/// without loss. A kernel repacks from here into its own order.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouped {
    /// Number of rows.
    pub rows: usize,
    /// Values in a row.
    pub cols: usize,
    /// Values along `cols` that share scale and offset; the last group of a row may be shorter.
    pub group: usize,
    /// Bits that a value needs: every value is below `2^bits`.
    pub bits: u8,
    /// `[rows, cols]`, unsigned.
    pub values: Vec<u8>,
    /// `[rows, ceil(cols / group)]`.
    pub scales: Vec<f32>,
    /// `[rows, ceil(cols / group)]`.
    pub offsets: Vec<f32>,
}

impl Grouped {
    /// Groups in a row.
    pub fn groups(&self) -> usize {
        self.cols.div_ceil(self.group.max(1))
    }

    /// The weights that the groups stand for, `[rows, cols]`.
    pub fn to_f32(&self) -> Vec<f32> {
        let groups = self.groups();
        let mut out = Vec::with_capacity(self.values.len());
        for (row, values) in self.values.chunks(self.cols.max(1)).enumerate() {
            for (at, chunk) in values.chunks(self.group.max(1)).enumerate() {
                let (scale, offset) = (self.scales[row * groups + at], self.offsets[row * groups + at]);
                out.extend(chunk.iter().map(|&value| scale * f32::from(value) + offset));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_last_group_has_its_own_scale() {
        let grouped = Grouped {
            rows: 2,
            cols: 3,
            group: 2,
            bits: 4,
            values: vec![0, 1, 2, 3, 4, 15],
            scales: vec![1.0, 2.0, 0.5, 4.0],
            offsets: vec![0.0, -1.0, 1.0, -8.0],
        };
        assert_eq!(grouped.groups(), 2);
        assert_eq!(grouped.to_f32(), [0.0, 1.0, 3.0, 2.5, 3.0, 52.0]);
    }
}
