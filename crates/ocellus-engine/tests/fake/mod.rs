//! A minimal decoder: one layer of random weights; patches of pictures are their visual tokens. Its attention reads the engine's
//! KV cache, so that a wrong block changes its logits.

use candle_core::{Device, Tensor};
use ocellus_engine::{Picture, PictureKey, Request, Sampling};
use ocellus_models::{Embeddings, Facts, Grid, ModelError, PositionRule, Vlm};
use ocellus_nn::decoder::{self, Decoder, Head, Positions};
use ocellus_nn::rope::Rope;
use ocellus_nn::{Act, Attn, Bias, Mlp, Norm, Order, Params, Precision, Taps, Trainable, block};
use ocellus_testkit::Random;

const WIDTH: usize = 16;
const VOCAB: usize = 40;
const IMAGE: u32 = 0;

pub struct Fake {
    facts: Facts,
    decoder: Decoder,
}

impl Fake {
    pub fn new(seed: u64) -> Self {
        let source = std::rc::Rc::new(Trainable::random(seed, 0.7, Device::Cpu));
        let p = Params::new(source, Precision::F32);
        let spec = decoder::Spec {
            vocab: VOCAB,
            layers: 1,
            block: block::Spec {
                width: WIDTH,
                attention: Attn::grouped(2, 1, WIDTH / 2, Bias::NONE),
                norm: Norm::rms(1e-6),
                order: Order::NormFirst,
                mlp: Mlp::Plain {
                    act: Act::Gelu,
                    width: WIDTH,
                    bias: false,
                },
                memory: None,
            },
            positions: Positions::Rotary(Rope::plain(100.0, WIDTH / 2)),
            embedding_norm: None,
            final_norm: Some(Norm::rms(1e-6)),
            head: Head::Own,
        };
        Self {
            decoder: Decoder::load(&p, &p.at("head"), spec).expect("random weights fit"),
            facts: Facts {
                frames_apart: false,
                family: "fake",
                image_token: Some(IMAGE),
                video_token: None,
                merge: 1,
                patch_size: 1,
                temporal_patch_size: 1,
                patch_features: WIDTH,
                tokens_per_second: None,
                max_positions: 4096,
            },
        }
    }
}

impl Vlm for Fake {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    fn encode(&self, patches: &Tensor, _: &[Grid], _: &mut Taps) -> Result<Embeddings, ModelError> {
        Ok(patches.clone().into())
    }
}

/// A picture of `count` patches; the same seed gives the same picture.
pub fn picture(seed: u64, count: usize) -> Picture {
    let values = Random::new(seed).normal_vec(count * WIDTH, 1.0);
    let grid = Grid { t: 1, h: 1, w: count };
    Picture {
        key: Some(PictureKey::new(&seed.to_le_bytes(), &count.to_le_bytes())),
        ..Picture::still(values, WIDTH, grid).expect("whole patches")
    }
}

/// Pictures with `pictures[i]` patches each, then `text` tokens. Prompts with the same `start` have the same prefix, whatever
/// their length.
pub fn request(start: u64, pictures: &[usize], text: usize, max_tokens: usize) -> Request {
    let mut random = Random::new(start);
    let mut ids = Vec::new();
    let pictures = pictures
        .iter()
        .map(|count| {
            ids.extend(std::iter::repeat_n(IMAGE, *count));
            picture(start, *count)
        })
        .collect();
    ids.extend((0..text).map(|_| 1 + random.below(VOCAB - 1) as u32));
    Request {
        ids,
        pictures,
        max_tokens,
        min_tokens: 0,
        // Sampled rather than greedy, so that answers differ.
        sampling: Sampling {
            temperature: 1.0,
            seed: start,
            ..Sampling::default()
        },
        end: vec![3],
        rule: PositionRule::default(),
    }
}
