//! Bytes per weight of storage formats.

/// Bytes of 256 weights: a whole number also for formats with scales per group of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width(u64);

impl Width {
    pub const F32: Self = Self::bits(32);
    pub const BF16: Self = Self::bits(16);

    /// Weights of `bits` bits each, without scales.
    pub const fn bits(bits: u64) -> Self {
        Self(bits * 32)
    }

    /// 256 weights with their scales.
    pub const fn per_256(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes of `weights` weights, rounded up.
    pub fn bytes(self, weights: u64) -> u64 {
        let bytes = (u128::from(weights) * u128::from(self.0)).div_ceil(256);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// Storage widths of the parts of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Widths {
    /// The decoder's layers.
    pub layers: Width,
    /// The output head.
    pub head: Width,
    /// The embedding table, if separate from the head. `None` = it stays in the mapped file, where rows are looked up.
    pub table: Option<Width>,
    /// The vision tower and the layers after it.
    pub vision: Width,
}

impl Widths {
    /// One width for everything; the embedding table stays in the mapped file.
    pub const fn all(width: Width) -> Self {
        Self {
            layers: width,
            head: width,
            table: None,
            vision: width,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_count_scales_and_round_up() {
        let cases = [
            (Width::F32, 3, 12),
            (Width::BF16, 3, 6),
            (Width::bits(8), 1000, 1000),
            (Width::per_256(144), 256, 144),
            (Width::per_256(144), 257, 145),
            (Width::F32, u64::MAX, u64::MAX),
        ];
        for (width, weights, expected) in cases {
            assert_eq!(width.bytes(weights), expected, "{width:?} {weights}");
        }
    }
}
