//! A minimal encoder-decoder: random weights and a vocabulary of four tokens, so that all possible answers can be listed. The
//! prompt is the cross-attention memory, so that a sequence depends on its own prompt and on its own tokens.

use candle_core::{D, Device, Tensor};
use ocellus_engine::{Request, Sampling};
use ocellus_models::{Embeddings, Facts, Grid, ModelError, PositionRule, PrefillInput, Prompt, Vlm};
use ocellus_nn::attention::Batch;
use ocellus_nn::decoder::{self, Decoder, Head, Positions};
use ocellus_nn::{Act, Attn, Bias, CrossMemory, Mlp, Norm, Order, Params, Precision, Taps, Trainable, block};
use std::sync::Arc;

pub const VOCAB: usize = 4;
/// The first token of every sequence.
const START: u32 = 0;

pub struct TinyEncoderDecoder {
    facts: Facts,
    decoder: Decoder,
}

impl TinyEncoderDecoder {
    pub fn new(seed: u64) -> Self {
        const WIDTH: usize = 8;
        let source = std::rc::Rc::new(Trainable::random(seed, 0.7, Device::Cpu));
        let p = Params::new(source, Precision::F32);
        let spec = decoder::Spec {
            vocab: VOCAB,
            layers: 2,
            block: block::Spec {
                width: WIDTH,
                attention: Attn::full(2, WIDTH / 2, Bias::NONE),
                norm: Norm::rms(1e-6),
                order: Order::NormFirst,
                mlp: Mlp::Plain {
                    act: Act::Gelu,
                    width: 2 * WIDTH,
                    bias: false,
                },
                memory: Some(WIDTH),
            },
            positions: Positions::Learned { rows: 16, offset: 0 },
            embedding_norm: None,
            final_norm: Some(Norm::rms(1e-6)),
            head: Head::Own,
        };
        Self {
            decoder: Decoder::load(&p, &p.at("head"), spec).expect("random weights fit"),
            facts: Facts {
                frames_apart: false,
                family: "words",
                image_token: None,
                video_token: None,
                merge: 1,
                patch_size: 1,
                temporal_patch_size: 1,
                patch_features: 1,
                tokens_per_second: None,
                max_positions: 16,
            },
        }
    }

    /// Log-probabilities of the token after `words`, computed without a cache.
    #[allow(dead_code)] // Not every test that shares this module lists what could be said.
    pub fn after(&self, prompt: &[u32], words: &[u32]) -> Vec<f64> {
        let ids = [&[START], words].concat();
        let memory = self.memory(&[prompt]).unwrap();
        let batch = Batch::of(vec![ids.len()]).across(Some(Arc::new(memory)));
        let positions: Vec<[i64; 3]> = (0..ids.len()).map(|i| [i as i64; 3]).collect();
        let x = self.decoder.embed(&ids).unwrap();
        let hidden = self
            .decoder
            .forward(&x, &positions, &batch, None, &mut Taps::none());
        let last = hidden.unwrap().narrow(0, ids.len() - 1, 1).unwrap();
        let logits = self.decoder.logits(&last).unwrap().squeeze(0).unwrap();
        let logits = logits.to_dtype(candle_core::DType::F64).unwrap();
        let norm = logits.exp().unwrap().sum(D::Minus1).unwrap().log().unwrap();
        logits.broadcast_sub(&norm).unwrap().to_vec1().unwrap()
    }

    fn memory(&self, prompts: &[&[u32]]) -> Result<CrossMemory, ModelError> {
        let lengths: Vec<usize> = prompts.iter().map(|p| p.len()).collect();
        Ok(self
            .decoder
            .cross_memory(&self.decoder.embed(&prompts.concat())?, &lengths)?)
    }
}

impl Vlm for TinyEncoderDecoder {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    fn encode(&self, patches: &Tensor, _: &[Grid], _: &mut Taps) -> Result<Embeddings, ModelError> {
        Ok(patches.clone().into())
    }

    fn prefill_input(
        &self,
        prompts: &[Prompt],
        _: Option<&Embeddings>,
        _: Option<&Embeddings>,
        _: &mut Taps,
    ) -> Result<PrefillInput, ModelError> {
        let ids = vec![vec![START]; prompts.len()];
        let embeds = self.decoder.embed(&ids.concat())?;
        let prompts: Vec<&[u32]> = prompts.iter().map(|p| p.ids).collect();
        Ok(PrefillInput::counted(ids, embeds, Some(self.memory(&prompts)?)))
    }
}

/// A request for up to `max_tokens` words after a prompt.
pub fn request(ids: &[u32], max_tokens: usize, end: &[u32]) -> Request {
    Request {
        ids: ids.to_vec(),
        pictures: Vec::new(),
        max_tokens,
        min_tokens: 0,
        sampling: Sampling::default(),
        end: end.to_vec(),
        rule: PositionRule::default(),
    }
}
