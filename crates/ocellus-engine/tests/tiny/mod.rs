//! A tiny model of random weights, with pictures, windows and grouped heads, and requests for it.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_base::clock::ManualClock;
use ocellus_engine::{EngineError, Flow, Generated, Picture, Request, Sampling, generate};
use ocellus_models::{Generator, Grid, PositionRule, Vlm};
use ocellus_nn::{Frozen, Params, Precision};
use ocellus_testkit::Random;
use ocellus_testkit::case::goldens_dir;
use ocellus_weights::Weights;

/// The checkpoint's ids around a picture, and the first that is ordinary text.
const VISION_START: u32 = 7;
const VISION_END: u32 = 6;
const IMAGE: u32 = 8;
const FIRST_TEXT: usize = 10;
const VOCAB: usize = 160;
/// Values of a patch: 3 channels, 2 frames, 4 by 4 pixels.
pub const FEATURES: usize = 96;

pub fn model() -> Generator {
    let dir = goldens_dir().join("qwen2_5_vl-multi-449/model");
    let weights = Weights::open(&dir).expect("the golden checkpoint opens");
    let source = std::rc::Rc::new(Frozen::new(Arc::new(weights), Device::Cpu, DType::F32));
    let config = std::fs::read_to_string(dir.join("config.json")).expect("the golden config is there");
    ocellus_models::load_generator(&config, &Params::new(source, Precision::F32))
        .expect("the golden model loads")
}

/// Patch rows of these values.
pub fn patches(values: Vec<f32>) -> Tensor {
    let shape = (values.len() / FEATURES, FEATURES);
    Tensor::from_vec(values, shape, &Device::Cpu).expect("whole patches")
}

/// A prompt of pictures with these sides in patches, and `text` tokens after them; nothing but `seed` decides its contents.
pub fn request(seed: u64, pictures: &[(usize, usize)], text: usize) -> Request {
    let mut random = Random::new(seed);
    let mut ids = Vec::new();
    let pictures = pictures
        .iter()
        .map(|&(h, w)| {
            ids.push(VISION_START);
            ids.extend(std::iter::repeat_n(IMAGE, h * w / 4));
            ids.push(VISION_END);
            Picture {
                patches: patches(random.normal_vec(h * w * FEATURES, 1.0)),
                grid: Grid { t: 1, h, w },
                video_seconds: None,
                key: None,
            }
        })
        .collect();
    ids.extend((0..text).map(|_| (FIRST_TEXT + random.below(VOCAB - FIRST_TEXT)) as u32));
    Request {
        ids,
        pictures,
        max_tokens: 12,
        min_tokens: 0,
        sampling: Sampling::default(),
        end: Vec::new(),
        rule: PositionRule::default(),
    }
}

/// Requests unlike one another: a picture, no picture, two pictures; short and long text.
#[allow(dead_code)] // Not every test file that shares this module has neighbours.
pub fn three() -> [Request; 3] {
    [
        request(1, &[(4, 6)], 9),
        request(2, &[], 37),
        request(3, &[(10, 4), (2, 2)], 1),
    ]
}

/// What the engine answers when nobody interferes.
#[allow(dead_code)] // Some tests drive the engine themselves.
pub fn answers(model: &dyn Vlm, requests: &[Request]) -> Result<Vec<Generated>, EngineError> {
    let clock = ManualClock::default();
    generate(model, requests, &clock, &mut |_, _| Flow::Continue).map(|(answers, _)| answers)
}
