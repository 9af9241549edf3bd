//! The connection layer: text tokens attend to regions, and regions attend to text tokens.
//!
//! In tensor names, 1 is the region stream and 2 the text stream. The attention output of text queries goes to the text stream's
//! output projection, so the projections of one direction have both numbers in their names.

use candle_core::Tensor;
use ocellus_nn::attention::Attention;
use ocellus_nn::{Block, Mask, Names, Params, Segment};
use std::sync::Arc;

use super::config::Config;
use crate::error::ModelError;
use crate::families::regions::Stream;

/// Words (2) attend to regions (1).
const TEXT_TO_IMAGE: Names = &[
    ("attn.q_proj", "biattention.query2"),
    ("attn.k_proj", "biattention.key1"),
    ("attn.v_proj", "biattention.value1"),
    ("attn.o_proj", "biOutput.dense2"),
    ("norm1", "biOutput.LayerNorm2"),
    ("mlp.fc1", "t_intermediate.dense"),
    ("mlp.fc2", "t_output.dense"),
    ("norm2", "t_output.LayerNorm"),
];

/// Regions (1) attend to words (2).
const IMAGE_TO_TEXT: Names = &[
    ("attn.q_proj", "biattention.query1"),
    ("attn.k_proj", "biattention.key2"),
    ("attn.v_proj", "biattention.value2"),
    ("attn.o_proj", "biOutput.dense1"),
    ("norm1", "biOutput.LayerNorm1"),
    ("mlp.fc1", "v_intermediate.dense"),
    ("mlp.fc2", "v_output.dense"),
    ("norm2", "v_output.LayerNorm"),
];

/// A connection layer with both directions.
pub(super) struct Connection {
    image: Block,
    text: Block,
}

impl Connection {
    pub(super) fn load(p: &Params, config: &Config) -> Result<Self, ModelError> {
        let block = |names, own: &Stream, other: &Stream| {
            let spec = own.block_with(config.bi_heads, config.bi_width);
            Block::facing(&p.named(names), &spec, other.width)
        };
        Ok(Self {
            image: block(IMAGE_TO_TEXT, &config.image, &config.text)?,
            text: block(TEXT_TO_IMAGE, &config.text, &config.image)?,
        })
    }

    /// Both streams and the lengths of their sequences; each attends to the other's input states. Returns regions, then text.
    pub(super) fn forward(
        &self,
        (image, regions): (&Tensor, &[usize]),
        (text, words): (&Tensor, &[usize]),
    ) -> Result<(Tensor, Tensor), ModelError> {
        let look = |block: &Block, (from, at): (&Tensor, &Tensor), segments: Arc<[Segment]>| {
            let mask = Mask::whole(&segments);
            let attend = |attention: &Attention, x: &Tensor| {
                let (k, v) = attention.keys_and_values(at)?;
                attention.across(x, (&k, &v), &mask)
            };
            block.forward(from, attend, None)
        };
        Ok((
            look(&self.image, (image, text), facing(regions, words))?,
            look(&self.text, (text, image), facing(words, regions))?,
        ))
    }
}

/// Queries of sequence `i` attend to the keys of sequence `i`.
fn facing(queries: &[usize], keys: &[usize]) -> Arc<[Segment]> {
    let (mut q_start, mut k_start) = (0, 0);
    let each = |(q_len, k_len): (&usize, &usize)| {
        let segment = Segment {
            q_start,
            q_len: *q_len,
            k_start,
            k_len: *k_len,
        };
        (q_start, k_start) = (q_start + q_len, k_start + k_len);
        segment
    };
    queries.iter().zip(keys).map(each).collect()
}
