//! A loaded language model, with or without an encoder that reads the prompt.

use candle_core::Tensor;
use ocellus_nn::attention::{Mask, segments};
use ocellus_nn::decoder::Decoder;
use ocellus_nn::encoder::{self, Encoder};
use ocellus_nn::norm::NormLayer;
use ocellus_nn::relative::{Buckets, RelativeScores};
use ocellus_nn::{CrossMemory, Norm, Params, Segment, Taps};

use crate::error::ModelError;

/// A loaded language model.
pub struct LanguageModel {
    pub decoder: Decoder,
    /// The encoder of an encoder-decoder; `None` in decoder-only models, whose decoder reads the prompt itself.
    pub reader: Option<PromptEncoder>,
    /// The most tokens of a prompt, visual tokens included.
    pub positions: usize,
    /// The first token of the decoder where an encoder reads the prompt.
    pub start: u32,
    pub pad: u32,
}

impl LanguageModel {
    /// The encoder's output for packed prompts `x [tokens, width]`, as the memory of the decoder's cross-attention; `None`
    /// without an encoder.
    pub fn memory(&self, x: &Tensor, lengths: &[usize]) -> Result<Option<CrossMemory>, ModelError> {
        let Some(reader) = &self.reader else {
            return Ok(None);
        };
        Ok(Some(
            self.decoder.cross_memory(&reader.read(x, lengths)?, lengths)?,
        ))
    }
}

/// The encoder of an encoder-decoder.
pub struct PromptEncoder {
    encoder: Encoder,
    scores: RelativeScores,
    norm: NormLayer,
}

impl PromptEncoder {
    pub fn load(p: &Params, spec: &encoder::Spec, buckets: Buckets, norm: Norm) -> Result<Self, ModelError> {
        Ok(Self {
            scores: RelativeScores::load(&p.at("relative"), buckets)?,
            encoder: Encoder::load(p, spec)?,
            norm: norm.load(&p.at("norm"), spec.block.width)?,
        })
    }

    fn read(&self, x: &Tensor, lengths: &[usize]) -> Result<Tensor, ModelError> {
        let segments = segments(lengths.iter().copied());
        let scores = |s: &Segment| self.scores.scores(s);
        let mask = Mask {
            bias: Some(&scores),
            ..Mask::whole(&segments)
        };
        let (layers, taps) = (0..self.encoder.len(), ("encoder_hidden", &mut Taps::none()));
        let x = self.encoder.forward(x, layers, &mask, None, None, taps)?;
        Ok(self.norm.forward(&x)?)
    }
}
