//! One block of the Qwen2.5-VL vision tower at its published size, over the 4368 patches of a 1092 x 784 px picture:
//! full attention and windows of 8 by 8 patches, products in f32 and in bf16.
//!
//! The weights are random: the work is the same.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ocellus_nn::rope::Angles;
use ocellus_nn::vit::{Spec, Vit};
use ocellus_nn::{Act, Frozen, Mlp, Norm, Params, Precision, Segment, Taps};
use ocellus_testkit::Random;
use ocellus_weights::{Dtype, Weights};

const WIDTH: usize = 1280;
const HEADS: usize = 16;
const INNER: usize = 3420;
/// Patches of 14 px: 78 columns and 56 rows.
const COLUMNS: usize = 1092 / 14;
const ROWS: usize = 784 / 14;
const WINDOW: usize = 8;

/// The block at its published size. Embedding and merger are not measured, and as small as they can be.
const SPEC: Spec = Spec {
    patch: 1,
    patch_bias: false,
    width: WIDTH,
    depth: 1,
    heads: HEADS,
    norm: Norm::Rms { eps: 1e-6 },
    mlp: Mlp::Gated {
        act: Act::Silu,
        width: INNER,
        bias: true,
    },
    merged: 1,
    out: 1,
};

fn weights() -> Weights {
    let mut random = Random::new(1);
    let mut tensors = Vec::new();
    let mut add = |name: &str, shape: &[usize], scale: f32| {
        let values = random.normal_vec(shape.iter().product(), scale);
        let bytes = ocellus_weights::f32_bytes(&values, Dtype::F32).expect("f32 is a float type");
        tensors.push((name.to_owned(), Dtype::F32, shape.to_vec(), bytes));
    };
    let layers = [
        ("patch_embed.proj", 1, WIDTH),
        ("blocks.0.attn.qkv", WIDTH, 3 * WIDTH),
        ("blocks.0.attn.proj", WIDTH, WIDTH),
        ("blocks.0.mlp.gate_proj", WIDTH, INNER),
        ("blocks.0.mlp.up_proj", WIDTH, INNER),
        ("blocks.0.mlp.down_proj", INNER, WIDTH),
        ("merger.mlp.0", WIDTH, WIDTH),
        ("merger.mlp.2", WIDTH, 1),
    ];
    for (name, inputs, outputs) in layers {
        add(&format!("{name}.weight"), &[outputs, inputs], 0.02);
        add(&format!("{name}.bias"), &[outputs], 0.02);
    }
    for name in ["blocks.0.norm1", "blocks.0.norm2", "merger.ln_q"] {
        add(&format!("{name}.weight"), &[WIDTH], 1.0);
    }
    let file = ocellus_weights::encode(&tensors, &BTreeMap::new()).expect("the tensors have their sizes");
    Weights::from_bytes(file, "random").expect("what was written can be read")
}

/// Segments of the given lengths, one after another.
fn segments(lengths: impl IntoIterator<Item = usize>) -> Arc<[Segment]> {
    let mut start = 0;
    lengths
        .into_iter()
        .map(|len| {
            let segment = Segment {
                q_start: start,
                q_len: len,
                k_start: start,
                k_len: len,
            };
            start += len;
            segment
        })
        .collect()
}

/// Patches of every window: those at the right and the lower border are smaller.
fn windows() -> Vec<usize> {
    let sides = |all: usize| (0..all).step_by(WINDOW).map(move |at| WINDOW.min(all - at));
    sides(ROWS)
        .flat_map(|h| sides(COLUMNS).map(move |w| h * w))
        .collect()
}

fn block(c: &mut Criterion) {
    let (patches, head_dim) = (ROWS * COLUMNS, WIDTH / HEADS);
    let weights = Arc::new(weights());
    let mut random = Random::new(2);
    let x = Tensor::from_vec(
        random.normal_vec(patches * WIDTH, 1.0),
        (patches, WIDTH),
        &Device::Cpu,
    )
    .expect("the values have this shape");
    let turns = random.uniform_vec(patches * head_dim / 2).into_iter();
    let angles = Angles::twice(turns, patches, head_dim / 2, 1.0, &Device::Cpu).expect("an angle for each");
    let mut group = c.benchmark_group("vision-block");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(patches as u64));
    for (name, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16)] {
        let source = Rc::new(Frozen::new(weights.clone(), Device::Cpu, DType::F32));
        let vit = Vit::load(&Params::new(source, precision), SPEC).expect("the block loads");
        for (kind, segments) in [("windows", segments(windows())), ("full", segments([patches]))] {
            group.bench_function(BenchmarkId::new(kind, name), |b| {
                b.iter(|| {
                    vit.blocks(x.clone(), &angles, |_| &segments, &mut Taps::none())
                        .expect("the block runs")
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, block);
criterion_main!(benches);
