//! Products of thin matrices beside quantised matrices, in tables, and added to plain ones while they are packed.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_nn::{Format, Frozen, Linear, LoadError, Matrix, Params, Precision, Source, stored};
use ocellus_testkit::Random;
use ocellus_weights::{Dtype, LowRank, TensorBytes, TensorRef, Weights, encode, f32_bytes, write_refs};

const OUTPUTS: usize = 48;
const INPUTS: usize = 64;
const RANK: usize = 5;

fn values(count: usize, seed: u64) -> Vec<f32> {
    Random::new(seed).normal_vec(count, 1.0)
}

fn plain() -> Weights {
    let tensor = |name: &str, shape: Vec<usize>, seed| -> TensorBytes {
        let values = values(shape.iter().product(), seed);
        (
            name.to_owned(),
            Dtype::F32,
            shape,
            f32_bytes(&values, Dtype::F32).unwrap(),
        )
    };
    let tensors = [
        tensor("m.weight", vec![OUTPUTS, INPUTS], 1),
        tensor("m.bias", vec![OUTPUTS], 2),
    ];
    Weights::from_bytes(encode(&tensors, &BTreeMap::new()).unwrap(), "plain").unwrap()
}

/// The same with the matrix in 8 bits, as `models quantize` writes it.
fn packed() -> Weights {
    let source = Rc::new(Frozen::new(Arc::new(plain()), Device::Cpu, DType::F32).keeping(BTreeMap::new()));
    let params = Params::new(source.clone(), Precision::F32).rounded(Format::Q8);
    Linear::load(&params.at("m"), INPUTS, OUTPUTS, true).unwrap();
    let kept = source.kept();
    let Matrix::Quantized(matrix) = &*kept[0].1 else {
        panic!("it was quantised");
    };
    let plain = plain();
    let bias = plain.view("m.bias").unwrap();
    let tensors = [
        TensorRef {
            name: "m.weight",
            dtype: Dtype::U8,
            shape: &[matrix.bytes().len()],
            bytes: matrix.bytes(),
        },
        TensorRef {
            name: "m.bias",
            dtype: Dtype::F32,
            shape: &bias.shape,
            bytes: &bias.bytes,
        },
    ];
    let metadata = BTreeMap::from([(stored::key("m.weight"), stored::describe(matrix))]);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.safetensors");
    write_refs(&path, &tensors, &metadata, &mut |_| ()).unwrap();
    Weights::from_bytes(std::fs::read(&path).unwrap(), "packed").unwrap()
}

fn product(rows: usize) -> LowRank {
    LowRank::new(values(rows * RANK, 3), values(RANK * INPUTS, 4), RANK).unwrap()
}

fn adapted(weights: Weights, product: LowRank) -> Weights {
    let nothing = Weights::from_bytes(encode(&[], &BTreeMap::new()).unwrap(), "nothing").unwrap();
    weights.adapted(
        nothing,
        BTreeMap::from([("m.weight".to_owned(), Arc::new(product))]),
    )
}

fn forward(weights: Weights, x: &Tensor) -> Result<Vec<f32>, LoadError> {
    let source = Rc::new(Frozen::new(Arc::new(weights), Device::Cpu, DType::F32));
    let layer = Linear::load(
        &Params::new(source, Precision::F32).at("m"),
        INPUTS,
        OUTPUTS,
        true,
    )?;
    Ok(layer.forward(x)?.flatten_all()?.to_vec1()?)
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_product_is_added_to_what_a_layer_gives() {
    let rows = 3;
    let x = Tensor::from_vec(values(rows * INPUTS, 5), (rows, INPUTS), &Device::Cpu).unwrap();
    let product = product(OUTPUTS);
    let mut whole = vec![0.0; OUTPUTS * INPUTS];
    product.add(0, &mut whole);
    let whole = Tensor::from_vec(whole, (OUTPUTS, INPUTS), &Device::Cpu).unwrap();
    let added: Vec<f32> = x
        .matmul(&whole.t().unwrap())
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    for weights in [plain, packed] {
        let base = forward(weights(), &x).unwrap();
        let found = forward(adapted(weights(), product.clone()), &x).unwrap();
        let expected: Vec<f32> = base
            .iter()
            .zip(&added)
            .map(|(base, added)| base + added)
            .collect();
        let difference = largest_difference(&found, &expected);
        assert!(difference < 2e-4, "{difference}");
        assert!(largest_difference(&base, &found) > 1.0, "it changes something");
    }
}

/// Rows stay what they are whatever other rows are computed with them.
#[test]
fn rows_do_not_depend_on_one_another() {
    let x = Tensor::from_vec(values(7 * INPUTS, 6), (7, INPUTS), &Device::Cpu).unwrap();
    let whole = forward(adapted(packed(), product(OUTPUTS)), &x).unwrap();
    for row in 0..7 {
        let alone = forward(adapted(packed(), product(OUTPUTS)), &x.narrow(0, row, 1).unwrap()).unwrap();
        assert_eq!(alone, whole[row * OUTPUTS..(row + 1) * OUTPUTS], "{row}");
    }
}

#[test]
fn tables_and_whole_tensors_have_it_too() {
    let product = product(OUTPUTS);
    for weights in [plain, packed] {
        let rows = |weights: Weights| -> Vec<f32> {
            let source = Rc::new(Frozen::new(Arc::new(weights), Device::Cpu, DType::F32));
            let table = Params::new(source, Precision::F32)
                .at("m")
                .table("weight", [OUTPUTS, INPUTS])
                .unwrap();
            table
                .rows(&[7, 0, 47])
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap()
        };
        let mut expected = rows(weights());
        for (row, into) in [7, 0, 47].into_iter().zip(expected.chunks_exact_mut(INPUTS)) {
            product.add(row, into);
        }
        assert_eq!(rows(adapted(weights(), product.clone())), expected);
    }
    let source = Frozen::new(
        Arc::new(adapted(plain(), product.clone())),
        Device::Cpu,
        DType::F32,
    );
    let tensor = source.tensor("m.weight", &[OUTPUTS, INPUTS]).unwrap();
    let mut expected = plain().view("m.weight").unwrap().to_f32().unwrap();
    product.add(0, &mut expected);
    assert_eq!(tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(), expected);
}

#[test]
fn a_product_of_other_sizes_is_refused() {
    let x = Tensor::zeros((1, INPUTS), DType::F32, &Device::Cpu).unwrap();
    for weights in [plain, packed] {
        let error = forward(adapted(weights(), product(OUTPUTS + 1)), &x).unwrap_err();
        assert!(matches!(error, LoadError::Adapter { .. }), "{error}");
    }
}
