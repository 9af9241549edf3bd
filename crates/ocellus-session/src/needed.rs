//! What a model needs of memory.

use std::fmt;

use ocellus_base::units::size;

/// What does not fit, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    pub total_bytes: u64,
    pub weights_bytes: u64,
    /// The KV cache, and the largest intermediate results; where they can be told.
    pub others: Option<(u64, u64)>,
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weights {}", size(self.weights_bytes))?;
        match self.others {
            Some((kv_cache, work)) => {
                write!(f, ", keys and values {}, work {}", size(kv_cache), size(work))
            }
            None => Ok(()),
        }
    }
}
