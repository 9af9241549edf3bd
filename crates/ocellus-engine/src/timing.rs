//! Where the time of an engine went.

/// Nanoseconds by what was done in them. A step that reads prompts counts as prefill, whatever it decodes beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Pictures to visual tokens.
    pub encode_ns: u64,
    /// Prompts, up to the logits of the first token.
    pub prefill_ns: u64,
    /// All tokens.
    pub decode_ns: u64,
}

impl Timing {
    /// The time since an earlier reading of the same engine.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            encode_ns: self.encode_ns.saturating_sub(earlier.encode_ns),
            prefill_ns: self.prefill_ns.saturating_sub(earlier.prefill_ns),
            decode_ns: self.decode_ns.saturating_sub(earlier.decode_ns),
        }
    }

    /// The three parts in milliseconds: encoding, prefill, decoding.
    pub fn ms(&self) -> [u64; 3] {
        [self.encode_ns, self.prefill_ns, self.decode_ns].map(|ns| ns / 1_000_000)
    }
}
