//! Arguments of an attention call: its segments, and their common sizes.

use std::ops::Range;

/// One sequence among the packed ones. Segments may share keys, but not queries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    pub q_start: usize,
    pub q_len: usize,
    pub k_start: usize,
    pub k_len: usize,
}

/// Sizes common to all segments of a call.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shape {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Whether query `i` of a segment attends only to its keys `0..=k_len - q_len + i`; otherwise to all keys.
    pub causal: bool,
    /// Factor on `q . k`.
    pub scale: f32,
}

impl Shape {
    /// Query heads per key-value head.
    pub(super) fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Number of keys that query `i` of `segment` attends to.
    pub(super) fn visible(&self, segment: &Segment, i: usize) -> usize {
        if self.causal {
            (segment.k_len + i + 1).saturating_sub(segment.q_len)
        } else {
            segment.k_len
        }
    }

    /// Whether every one of `q_tokens` is in a segment and attends to a key, so that all outputs are written.
    pub(super) fn covers(&self, segments: &[Segment], q_tokens: usize) -> bool {
        let sees = |s: &Segment| s.k_len > 0 && (!self.causal || s.k_len >= s.q_len);
        segments.iter().map(|s| s.q_len).sum::<usize>() == q_tokens
            && segments.iter().all(|s| s.q_len == 0 || sees(s))
    }

    /// Floating-point operations of one product over all segments.
    pub(super) fn work(&self, segments: &[Segment]) -> usize {
        let pairs: usize = segments.iter().map(|s| s.q_len * s.k_len).sum();
        2 * pairs * self.heads * self.head_dim
    }

    /// Checks that slices of these lengths hold the segments.
    pub(super) fn check(&self, segments: &[Segment], q: usize, k: usize, v: usize) {
        let Shape {
            heads,
            kv_heads,
            head_dim,
            ..
        } = *self;
        assert!(
            kv_heads > 0 && heads.is_multiple_of(kv_heads) && head_dim > 0,
            "attention: {heads} heads over {kv_heads} key-value heads of {head_dim}"
        );
        assert_eq!(k, v, "attention: k and v differ in length");
        let q_tokens = q.checked_div(heads * head_dim).unwrap_or(0);
        let k_tokens = k / (kv_heads * head_dim);
        assert_eq!(
            q_tokens * heads * head_dim,
            q,
            "attention: q is not [tokens, {heads}, {head_dim}]"
        );
        assert_eq!(
            k_tokens * kv_heads * head_dim,
            k,
            "attention: k is not [tokens, {kv_heads}, {head_dim}]"
        );
        for segment in segments {
            assert!(
                segment
                    .q_start
                    .checked_add(segment.q_len)
                    .is_some_and(|end| end <= q_tokens)
                    && segment
                        .k_start
                        .checked_add(segment.k_len)
                        .is_some_and(|end| end <= k_tokens),
                "attention: {segment:?} in {q_tokens} queries and {k_tokens} keys"
            );
        }
        assert!(
            !overlap(segments.iter().map(|s| s.q_start..s.q_start + s.q_len)),
            "attention: segments share queries"
        );
    }
}

/// Whether any two of the ranges overlap.
pub(super) fn overlap(ranges: impl Iterator<Item = Range<usize>>) -> bool {
    let mut ranges: Vec<_> = ranges.filter(|range| !range.is_empty()).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.windows(2).any(|pair| pair[1].start < pair[0].end)
}
