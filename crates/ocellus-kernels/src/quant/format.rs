//! Formats of quantised weights, and their layout in memory.

/// Rows of a weight matrix (outputs) in one panel.
pub const PANEL: usize = 32;

/// Bits of one weight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bits {
    Four,
    Six,
    Eight,
}

impl Bits {
    pub fn count(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Six => 6,
            Self::Eight => 8,
        }
    }

    /// The largest `q`.
    pub fn largest(self) -> u8 {
        match self {
            Self::Four => 15,
            Self::Six => 63,
            Self::Eight => 255,
        }
    }
}

/// A format of quantised weights.
///
/// A matrix `[n, k]` is cut into panels of [`PANEL`] rows, a panel into groups along K. One group of a panel is
///
/// 1. its values: for every four neighbours along K ("quad"), 32 rows of 4 bytes, in which
///    - 8 bits: a byte is a value;
///    - 4 bits: the low halves are one quad, the high halves the next;
///    - 6 bits: two such pairs hold the low halves of four quads, then 32 rows of 4 bytes hold their upper two bits, the first
///      quad's lowest;
/// 2. 32 scales as f16;
/// 3. without 8 bits: 32 offsets as f16.
///
/// Scales and offsets are multiplied by the matrix's `unit`, a power of two that keeps them in the range of f16. With 8 bits the
/// offset is `-128 * scale`. Padding beyond the rows and columns of the matrix is zero bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    pub bits: Bits,
    /// Weights along K that share a scale: a multiple of 16, at most 256.
    pub group: usize,
}

impl Format {
    /// 8.125 bits a weight.
    pub const Q8: Self = Self {
        bits: Bits::Eight,
        group: 128,
    };
    /// 6.5 bits a weight.
    pub const Q6: Self = Self {
        bits: Bits::Six,
        group: 64,
    };
    /// 4.5 bits a weight.
    pub const Q4: Self = Self {
        bits: Bits::Four,
        group: 64,
    };

    /// Whether the kernels support it.
    pub fn is_valid(self) -> bool {
        self.group.is_multiple_of(16) && (16..=256).contains(&self.group)
    }

    /// Whether groups store offsets.
    pub fn has_offsets(self) -> bool {
        self.bits != Bits::Eight
    }

    /// Groups along K.
    pub fn groups(self, k: usize) -> usize {
        k.div_ceil(self.group)
    }

    /// Bytes of the values of one group of a panel.
    pub(super) fn value_bytes(self) -> usize {
        PANEL * self.group * self.bits.count() / 8
    }

    /// Bytes of one group of a panel.
    pub(super) fn group_bytes(self) -> usize {
        self.value_bytes() + PANEL * 2 * (1 + usize::from(self.has_offsets()))
    }

    /// Bytes of a matrix `[n, k]`, or `None` where that overflows `usize`.
    pub fn bytes(self, n: usize, k: usize) -> Option<usize> {
        n.div_ceil(PANEL)
            .checked_mul(self.groups(k))?
            .checked_mul(self.group_bytes())
    }
}
