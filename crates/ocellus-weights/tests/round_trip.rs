//! What is written is what is read, bit for bit, from memory and from disk.

use half::{bf16, f16};
use ocellus_weights::{Dtype, TensorBytes, Weights, encode, f32_bytes, i64_bytes, write};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn any_tensors() -> impl Strategy<Value = Vec<TensorBytes>> {
    let types: Vec<Dtype> = Dtype::all().collect();
    let tensor = (
        prop::sample::select(types),
        prop::collection::vec(0usize..4, 0..4),
    )
        .prop_flat_map(|(dtype, shape)| {
            let length = shape.iter().product::<usize>() * dtype.size_bytes();
            prop::collection::vec(any::<u8>(), length).prop_map(move |bytes| (dtype, shape.clone(), bytes))
        });
    prop::collection::btree_map("\\PC{0,12}", tensor, 0..6)
        .prop_map(|map| map.into_iter().map(|(name, (d, s, b))| (name, d, s, b)).collect())
}

proptest! {
    #[test]
    fn tensors_survive(tensors in any_tensors(), metadata in prop::collection::btree_map("\\PC{0,6}", "\\PC{0,6}", 0..3)) {
        let bytes = encode(&tensors, &metadata).unwrap();
        let weights = Weights::from_bytes(bytes.clone(), "memory").unwrap();
        prop_assert_eq!(weights.len(), tensors.len());
        prop_assert_eq!(weights.metadata(), &metadata);
        for (name, dtype, shape, data) in &tensors {
            let view = weights.view(name).unwrap();
            prop_assert_eq!((view.dtype, &view.shape, &view.bytes[..]), (*dtype, shape, &data[..]));
        }
        let mut reversed = tensors.clone();
        reversed.reverse();
        prop_assert_eq!(encode(&reversed, &metadata).unwrap(), bytes, "the order of the input changed the file");
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Weights::from_bytes(bytes, "noise");
    }

    #[test]
    fn a_file_with_one_changed_byte_never_panics(at in 0usize..1000, to in any::<u8>()) {
        let tensors = [
            ("a".to_string(), Dtype::F32, vec![2, 2], vec![1; 16]),
            ("b".to_string(), Dtype::F16, vec![3], vec![2; 6]),
        ];
        let mut bytes = encode(&tensors, &BTreeMap::new()).unwrap();
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(weights) = Weights::from_bytes(bytes, "changed") {
            for name in weights.names() {
                let view = weights.view(name).unwrap();
                prop_assert_eq!(view.bytes.len(), view.shape.iter().product::<usize>() * view.dtype.size_bytes());
            }
        }
    }

    #[test]
    fn floats_convert_as_the_half_crate_rounds(values in prop::collection::vec(any::<f32>(), 0..20)) {
        for (dtype, round) in [
            (Dtype::F32, (|v| v) as fn(f32) -> f32),
            (Dtype::F16, |v| f16::from_f32(v).to_f32()),
            (Dtype::Bf16, |v| bf16::from_f32(v).to_f32()),
        ] {
            let tensor = ("x".to_string(), dtype, vec![values.len()], f32_bytes(&values, dtype).unwrap());
            let weights = Weights::from_bytes(encode(&[tensor], &BTreeMap::new()).unwrap(), "m").unwrap();
            let got = weights.view("x").unwrap().to_f32().unwrap();
            let expected: Vec<f32> = values.iter().map(|v| round(*v)).collect();
            prop_assert!(got.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()));
            prop_assert_eq!(got.len(), expected.len());
        }
    }
}

#[test]
fn a_file_is_replaced_whole_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let tensor = |value: i64| [("n".to_string(), Dtype::I64, vec![1], i64_bytes(&[value]))];
    let metadata = BTreeMap::from([("format".to_string(), "pt".to_string())]);
    write(&path, &tensor(1), &metadata).unwrap();
    let old = Weights::from_file(&path).unwrap();
    write(&path, &tensor(2), &metadata).unwrap();
    assert_eq!(
        old.view("n").unwrap().to_i64().unwrap(),
        [1],
        "an open map sees the file that it opened"
    );
    let new = Weights::open(dir.path()).unwrap();
    assert_eq!(new.view("n").unwrap().to_i64().unwrap(), [2]);
    assert_eq!(new.metadata()["format"], "pt");
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["model.safetensors"]);
}

#[test]
fn a_failed_write_keeps_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    std::fs::create_dir(&path).unwrap(); // a folder cannot be replaced by a file
    let tensor = [("n".to_string(), Dtype::I64, vec![1], i64_bytes(&[7]))];
    assert!(write(&path, &tensor, &BTreeMap::new()).is_err());
    assert!(path.is_dir());
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "the temporary file is removed"
    );
    assert!(
        write(
            &dir.path().join("absent/x.safetensors"),
            &tensor,
            &BTreeMap::new()
        )
        .is_err()
    );
}

#[test]
fn what_cannot_be_written_is_refused() {
    let none = BTreeMap::new();
    let good = || ("a".to_string(), Dtype::U8, vec![1], vec![1]);
    for (what, tensors) in [
        (
            "bytes missing",
            vec![("a".to_string(), Dtype::F32, vec![2], vec![0; 7])],
        ),
        ("twice", vec![good(), good()]),
        (
            "reserved",
            vec![("__metadata__".to_string(), Dtype::U8, vec![1], vec![1])],
        ),
        (
            "overflow",
            vec![("a".to_string(), Dtype::U8, vec![usize::MAX, 2], vec![])],
        ),
    ] {
        assert!(encode(&tensors, &none).is_err(), "{what}");
    }
    assert!(f32_bytes(&[1.0], Dtype::I64).is_err());
}

#[test]
fn every_tensor_is_aligned_to_its_element() {
    let tensors: Vec<TensorBytes> = Dtype::all()
        .map(|d| {
            (
                format!("t{}", d.size_bytes()) + d.name(),
                d,
                vec![3],
                vec![0; 3 * d.size_bytes()],
            )
        })
        .collect();
    let bytes = encode(&tensors, &BTreeMap::new()).unwrap();
    let start = bytes.as_ptr() as usize;
    let weights = Weights::from_bytes(bytes, "m").unwrap();
    for name in weights.names() {
        let view = weights.view(name).unwrap();
        assert_eq!(
            (view.bytes.as_ptr() as usize - start) % view.dtype.size_bytes(),
            0,
            "{name}"
        );
    }
}

#[test]
fn bytes_compiled_into_the_program_work_too() {
    static EMPTY: &[u8] = b"\x02\0\0\0\0\0\0\0{}";
    assert!(Weights::from_static(EMPTY).unwrap().is_empty());
    assert!(
        Weights::from_static(b"")
            .unwrap_err()
            .to_string()
            .contains("built-in")
    );
}
