//! Cross-attention memory: the keys and values that a decoder attends to in addition to its own tokens, projected once per
//! sequence.

use candle_core::Tensor;
use std::sync::Arc;

use crate::Segment;

/// Cross-attention keys and values of every decoder layer that has cross-attention.
pub struct CrossMemory {
    /// `[rows, kv_heads, head_dim]` each, for every layer of the decoder.
    layers: Vec<Option<(Tensor, Tensor)>>,
    /// First row and number of rows of each sequence.
    spans: Vec<(usize, usize)>,
}

/// The rows of a cross-attention memory that one sequence attends to.
#[derive(Clone)]
pub struct CrossSpan {
    memory: Arc<CrossMemory>,
    first: usize,
    rows: usize,
}

impl CrossMemory {
    /// A memory from the keys and values of every layer; `lengths[i]` rows belong to sequence `i`.
    pub(crate) fn new(layers: Vec<Option<(Tensor, Tensor)>>, lengths: &[usize]) -> Self {
        let mut first = 0;
        let span = |len: &usize| {
            first += len;
            (first - len, *len)
        };
        Self {
            layers,
            spans: lengths.iter().map(span).collect(),
        }
    }

    /// The span of every sequence.
    pub fn spans(self: Arc<Self>) -> Vec<CrossSpan> {
        let span = |&(first, rows): &(usize, usize)| CrossSpan {
            memory: self.clone(),
            first,
            rows,
        };
        self.spans.iter().map(span).collect()
    }
}

/// Adjacent sequences of a batch that share a memory.
pub(crate) struct CrossGroup {
    memory: Arc<CrossMemory>,
    /// The group's first row in the batch.
    pub q_start: usize,
    pub q_len: usize,
    /// Attention segments, with query rows counted from the group's first row.
    pub segments: Arc<[Segment]>,
}

impl CrossGroup {
    pub fn layer(&self, layer: usize) -> Option<&(Tensor, Tensor)> {
        self.memory.layers[layer].as_ref()
    }

    /// Groups of sequences with `lengths` rows each.
    pub fn of(lengths: &[usize], spans: &[CrossSpan]) -> Vec<Self> {
        let (mut groups, mut start, mut from) = (Vec::new(), 0, 0);
        while from < spans.len() {
            let memory = &spans[from].memory;
            let same = spans[from..]
                .iter()
                .take_while(|s| Arc::ptr_eq(&s.memory, memory));
            let to = from + same.count();
            let mut q_start = 0;
            let segment = |(span, &q_len): (&CrossSpan, &usize)| {
                q_start += q_len;
                Segment {
                    q_start: q_start - q_len,
                    q_len,
                    k_start: span.first,
                    k_len: span.rows,
                }
            };
            let segments: Arc<[Segment]> = spans[from..to]
                .iter()
                .zip(&lengths[from..to])
                .map(segment)
                .collect();
            let q_len = segments.iter().map(|s| s.q_len).sum();
            groups.push(Self {
                memory: memory.clone(),
                q_start: start,
                q_len,
                segments,
            });
            start += q_len;
            from = to;
        }
        groups
    }
}
