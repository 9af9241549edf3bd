//! Tokens per second of the built-in model: 48 tokens for each of 1 and of 64 strips of 12 cells, with encoding and prefill.
//!
//! No end token is given, so that every strip takes the same number of decode steps whatever is read.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ocellus_base::clock::ManualClock;
use ocellus_engine::{Flow, Picture, Request, Sampling, generate};
use ocellus_models::{Generator, Grid, PositionRule, Vlm};
use ocellus_nn::{Frozen, Params, Precision};
use ocellus_testkit::Random;
use ocellus_weights::Weights;

const VISUAL_TOKENS: usize = 12;
const TOKENS: usize = 48;
/// Ids of `models/nano`: start and end of a picture.
const VISION_START: u32 = 2;
const VISION_END: u32 = 3;

fn nano(precision: Precision) -> Generator {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/nano");
    let config = std::fs::read_to_string(dir.join("config.json")).expect("the built-in model has a config");
    let weights = Weights::open(&dir).expect("the built-in model has weights");
    let source = Rc::new(Frozen::new(Arc::new(weights), Device::Cpu, DType::F32));
    ocellus_models::load_generator(&config, &Params::new(source, precision))
        .expect("the built-in model loads")
}

/// A strip one cell high; what it shows does not change the work.
fn strip(model: &dyn Vlm, seed: u64) -> Request {
    let facts = model.facts();
    let (h, w) = (facts.merge, VISUAL_TOKENS * facts.merge);
    let mut ids = vec![VISION_START];
    ids.extend(std::iter::repeat_n(
        facts.image_token.expect("it sees pictures"),
        VISUAL_TOKENS,
    ));
    ids.push(VISION_END);
    Request {
        ids,
        pictures: vec![Picture {
            patches: patches(
                Random::new(seed).uniform_vec(h * w * facts.patch_features),
                facts.patch_features,
            ),
            grid: Grid { t: 1, h, w },
            video_seconds: None,
            key: None,
        }],
        max_tokens: TOKENS,
        min_tokens: 0,
        sampling: Sampling::default(),
        end: Vec::new(),
        rule: PositionRule::default(),
    }
}

fn patches(values: Vec<f32>, features: usize) -> Tensor {
    let shape = (values.len() / features, features);
    Tensor::from_vec(values, shape, &Device::Cpu).expect("whole patches")
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode-nano");
    group.sample_size(10);
    for (name, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16)] {
        let model = nano(precision);
        for batch in [1, 64] {
            let requests: Vec<_> = (0..batch).map(|seed| strip(model.vlm(), seed as u64)).collect();
            group.throughput(Throughput::Elements((batch * TOKENS) as u64));
            group.bench_function(BenchmarkId::new(name, batch), |b| {
                b.iter(|| {
                    let clock = ManualClock::default();
                    generate(model.vlm(), &requests, &clock, &mut |_, _| Flow::Continue)
                        .expect("strips are read")
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
