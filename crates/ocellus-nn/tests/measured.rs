//! What goes into matrices is measured column by column, for every layer that is rounded below 8 bits and under the names by
//! which it is packed; and rounding by it loses less of what counts.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_nn::attention::{Attention, segments};
use ocellus_nn::{Act, Attn, Bias, Format, Frozen, Linear, Mask, Matrix, Measured, Mlp, Params, Precision};
use ocellus_testkit::random::Random;
use ocellus_testkit::{compare, test_each};
use ocellus_weights::{Dtype, Weights, encode};

const ROWS: usize = 3;
const WIDTH: usize = 4;

/// A checkpoint of matrices of these shapes, filled with small random numbers.
fn checkpoint(shapes: &[(&str, [usize; 2])]) -> Arc<Weights> {
    let mut random = Random::new(7);
    let tensors: Vec<_> = shapes
        .iter()
        .map(|(name, shape)| {
            let values = random.normal_vec(shape[0] * shape[1], 0.5);
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            ((*name).to_owned(), Dtype::F32, shape.to_vec(), bytes)
        })
        .collect();
    let file = encode(&tensors, &Default::default()).unwrap();
    Arc::new(Weights::from_bytes(file, "test").unwrap())
}

fn matrix(weights: &Weights, name: &str) -> Tensor {
    let view = weights.view(name).unwrap();
    Tensor::from_vec(view.to_f32().unwrap(), view.shape.clone(), &Device::Cpu).unwrap()
}

/// `x · Wᵀ` in plain candle.
fn product(x: &Tensor, weights: &Weights, name: &str) -> Tensor {
    x.matmul(&matrix(weights, name).t().unwrap()).unwrap()
}

fn input(rows: usize, width: usize) -> Tensor {
    let values = Random::new(11).normal_vec(rows * width, 2.0);
    Tensor::from_vec(values, (rows, width), &Device::Cpu).unwrap()
}

/// Mean squares of the columns, the long way round.
fn mean_squares(x: &Tensor) -> Vec<f32> {
    let rows: Vec<Vec<f32>> = x.to_vec2().unwrap();
    (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column] * row[column]).sum::<f32>() / rows.len() as f32)
        .collect()
}

/// Parameters that measure, and where they measure to.
fn measuring(weights: &Arc<Weights>, format: Format) -> (Params, Arc<Measured>) {
    let measured = Arc::new(Measured::default());
    let source = Frozen::new(weights.clone(), Device::Cpu, DType::F32).measuring(measured.clone());
    let params = Params::new(Rc::new(source), Precision::F32).rounded(format);
    (params, measured)
}

fn check(measured: &Measured, expected: &[(&str, &Tensor)]) {
    let found = measured.importance();
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (name, x) in expected {
        compare::assert_close(name, &found[*name], &mean_squares(x), 1e-6, 1e-5);
    }
}

#[test]
fn of_a_single_matrix() {
    let weights = checkpoint(&[("layer.weight", [5, WIDTH])]);
    let (params, measured) = measuring(&weights, Format::Q4);
    let layer = Linear::load(&params.at("layer"), WIDTH, 5, false).unwrap();
    assert!(measured.importance().is_empty(), "nothing went through yet");
    let x = Tensor::new(
        &[
            [1.0_f32, 0.0, -2.0, 3.0],
            [3.0, 0.0, 2.0, 1.0],
            [0.0, 0.0, 1.0, 2.0],
        ],
        &Device::Cpu,
    )
    .unwrap();
    // In two calls, as prompts and answers come.
    for (first, count) in [(0, 1), (1, 2)] {
        let y = layer.forward(&x.narrow(0, first, count).unwrap()).unwrap();
        let expected = product(&x.narrow(0, first, count).unwrap(), &weights, "layer.weight");
        let [y, expected] = [y, expected].map(|t| t.flatten_all().unwrap().to_vec1().unwrap());
        // Not rounded while it is measured.
        compare::assert_close("product", &y, &expected, 1e-6, 1e-5);
    }
    let found = &measured.importance()["layer.weight"];
    assert_eq!(found[..], [10.0 / 3.0, 0.0, 3.0, 14.0 / 3.0]);
    assert_eq!(measured.rows(), 3);
}

#[test]
fn of_all_projections_of_an_attention() {
    let (heads, dim) = (2, 3);
    let separate = [
        ("q_proj.weight", [heads * dim, WIDTH]),
        ("k_proj.weight", [dim, WIDTH]),
        ("v_proj.weight", [dim, WIDTH]),
        ("o_proj.weight", [WIDTH, heads * dim]),
    ];
    let fused = [
        ("qkv.weight", [3 * heads * dim, WIDTH]),
        ("o_proj.weight", [WIDTH, heads * dim]),
    ];
    let cases = [
        (
            "separate",
            (Attn::grouped(heads, 1, dim, Bias::NONE), &separate[..]),
        ),
        ("fused", (Attn::full(heads, dim, Bias::NONE).fused(), &fused[..])),
    ];
    test_each(cases, |(spec, shapes)| {
        let weights = checkpoint(shapes);
        let (params, measured) = measuring(&weights, Format::Q6);
        let attention = Attention::load(&params, *spec, WIDTH, WIDTH).unwrap();
        let x = input(ROWS, WIDTH);
        // Who is alone looks at itself: what comes out of the heads is its own value.
        let alone = segments(vec![1; ROWS]);
        attention.forward(&x, &Mask::causal(&alone), None).unwrap();
        match shapes.len() {
            4 => {
                let value = product(&x, &weights, "v_proj.weight");
                let both = Tensor::cat(&[&value, &value], 1).unwrap();
                let projections = ["k_proj.weight", "q_proj.weight", "v_proj.weight"];
                let [k, q, v] = projections.map(|name| (name, &x));
                check(&measured, &[k, ("o_proj.weight", &both), q, v]);
            }
            _ => {
                let all = product(&x, &weights, "qkv.weight");
                let value = all.narrow(1, 2 * heads * dim, heads * dim).unwrap();
                check(&measured, &[("o_proj.weight", &value), ("qkv.weight", &x)]);
            }
        }
    });
}

#[test]
fn of_all_three_of_a_gated_network() {
    let inner = 6;
    let weights = checkpoint(&[
        ("gate_proj.weight", [inner, WIDTH]),
        ("up_proj.weight", [inner, WIDTH]),
        ("down_proj.weight", [WIDTH, inner]),
    ]);
    for act in [Act::Silu, Act::Gelu] {
        let (params, measured) = measuring(&weights, Format::Q4);
        let spec = Mlp::Gated {
            act,
            width: inner,
            bias: false,
        };
        let x = input(ROWS, WIDTH);
        spec.load(&params, WIDTH).unwrap().forward(&x).unwrap();
        let gate = product(&x, &weights, "gate_proj.weight");
        let opened = match act {
            Act::Silu => gate.silu().unwrap(),
            _ => gate.gelu_erf().unwrap(),
        };
        let hidden = (opened * product(&x, &weights, "up_proj.weight")).unwrap();
        check(
            &measured,
            &[
                ("down_proj.weight", &hidden),
                ("gate_proj.weight", &x),
                ("up_proj.weight", &x),
            ],
        );
    }
}

#[test]
fn what_keeps_8_bits_is_rounded_and_not_measured() {
    let weights = checkpoint(&[("layer.weight", [5, WIDTH])]);
    for (format, least) in [(Format::Q8, Format::Q8), (Format::Q4, Format::Q8)] {
        let (params, measured) = measuring(&weights, format);
        let params = params.at_least(least);
        let layer = Linear::load(&params.at("layer"), WIDTH, 5, false).unwrap();
        layer.forward(&input(ROWS, WIDTH)).unwrap();
        assert_eq!((measured.rows(), measured.importance().len()), (0, 0));
    }
}

/// A number that is none says nothing about the matrix that saw it.
#[test]
fn nothing_is_known_from_what_is_no_number() {
    let weights = checkpoint(&[("layer.weight", [5, WIDTH])]);
    let (params, measured) = measuring(&weights, Format::Q4);
    let layer = Linear::load(&params.at("layer"), WIDTH, 5, false).unwrap();
    let x = Tensor::new(&[[1.0_f32, f32::NAN, 2.0, 3.0]], &Device::Cpu).unwrap();
    layer.forward(&x).unwrap();
    assert!(measured.importance().is_empty());
}

#[test]
fn rounding_by_it_loses_less() {
    let (name, inputs, outputs) = ("layer.weight", 192, 40);
    let weights = checkpoint(&[(name, [outputs, inputs])]);
    // Inputs of very different size, as in trained models.
    let mut random = Random::new(3);
    let sizes: Vec<f32> = (0..inputs).map(|_| random.normal().exp()).collect();
    let mut values = random.normal_vec(64 * inputs, 1.0);
    values
        .iter_mut()
        .zip(sizes.iter().cycle())
        .for_each(|(v, s)| *v *= s);
    let x = Tensor::from_vec(values, (64, inputs), &Device::Cpu).unwrap();
    for format in [Format::Q4, Format::Q6] {
        let (params, measured) = measuring(&weights, format);
        let layer = Linear::load(&params.at("layer"), inputs, outputs, false).unwrap();
        layer.forward(&x).unwrap();
        // The error of the products on what was measured, over all outputs.
        let error = |importance: BTreeMap<String, Arc<[f32]>>| {
            let source = Rc::new(Frozen::new(weights.clone(), Device::Cpu, DType::F32).keeping(importance));
            let params = Params::new(source.clone(), Precision::F32).rounded(format);
            Linear::load(&params.at("layer"), inputs, outputs, false).unwrap();
            let kept = source.kept();
            assert_eq!(kept[0].0, name, "packed by the name that it was measured by");
            let Matrix::Quantized(packed) = &*kept[0].1 else {
                panic!("it is rounded")
            };
            let mut rounded = vec![0.0; outputs * inputs];
            let rows = rounded.chunks_exact_mut(inputs).enumerate();
            rows.for_each(|(row, out)| packed.row(row, out));
            let rounded = Tensor::from_vec(rounded, (outputs, inputs), &Device::Cpu).unwrap();
            let lost = (rounded - matrix(&weights, name)).unwrap();
            let lost = x.matmul(&lost.t().unwrap()).unwrap();
            lost.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()
        };
        let (plain, calibrated) = (error(BTreeMap::new()), error(measured.importance()));
        assert!(calibrated < 0.95 * plain, "{format:?}: {calibrated} of {plain}");
    }
}
