//! Damaged files: each is refused with the error that says what is wrong, and the message names file and tensor.

use ocellus_weights::{
    Dtype, MAX_HEADER_BYTES, MAX_TENSORS, Weights, WeightsError, encode, f32_bytes, i64_bytes,
};
use std::collections::BTreeMap;

/// A file from its header text and its data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn refusal(bytes: Vec<u8>) -> WeightsError {
    Weights::from_bytes(bytes, "model.safetensors").expect_err("the file should be refused")
}

fn tensor(start: usize, end: usize) -> String {
    format!(r#""dtype":"F32","shape":[2],"data_offsets":[{start},{end}]"#)
}

#[test]
fn headers_that_are_not_headers() {
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("empty", vec![], "expected at least 8 bytes, found 0"),
        ("seven bytes", vec![0; 7], "expected at least 8 bytes, found 7"),
        ("no header", 0u64.to_le_bytes().to_vec(), "begin with `{`"),
        (
            "cut in the header",
            file("{\"a\"", b"")[..10].to_vec(),
            "the file ends after 2",
        ),
        (
            "length over the limit",
            (MAX_HEADER_BYTES + 1).to_le_bytes().to_vec(),
            "more than the",
        ),
        (
            "length near the largest integer",
            u64::MAX.to_le_bytes().to_vec(),
            "more than the",
        ),
        ("not JSON", file("{\"a\":", b""), "EOF"),
        ("a list", file("[]", b""), "begin with `{`"),
        ("leading space", file(" {}", b""), "begin with `{`"),
        (
            "not UTF-8",
            [&9u64.to_le_bytes()[..], b"{\"a\xff\":{}}"].concat(),
            "utf-8",
        ),
        ("text after the JSON", file("{}x", b""), "trailing"),
        ("a number for a tensor", file(r#"{"a.b":3}"#, b""), "tensor `a.b`"),
        (
            "no offsets",
            file(r#"{"a.b":{"dtype":"F32","shape":[]}}"#, b""),
            "missing field `data_offsets`",
        ),
        (
            "negative side",
            file(
                r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
                b"0000",
            ),
            "tensor `a`",
        ),
        (
            "fractional offset",
            file(
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4.5]}}"#,
                b"0000",
            ),
            "tensor `a`",
        ),
        (
            "metadata that is not text",
            file(r#"{"__metadata__":{"epoch":3}}"#, b""),
            "`__metadata__`",
        ),
        ("zip", b"PK\x03\x04rest of an archive".to_vec(), "zip archive"),
        ("html", b"<!DOCTYPE html><html></html>".to_vec(), "HTML page"),
    ];
    for (what, bytes, expected) in cases {
        let message = refusal(bytes.clone()).to_string();
        assert!(message.contains(expected), "{what}: {message}");
        assert!(message.contains("model.safetensors"), "{what}: {message}");
    }
}

#[test]
fn a_git_lfs_pointer_is_called_by_its_name() {
    let pointer =
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    let error = refusal(pointer.to_vec());
    assert!(matches!(error, WeightsError::LfsPointer { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("model.safetensors is a Git LFS pointer"),
        "{error}"
    );
}

#[test]
fn tensors_that_do_not_fit() {
    type Expected = fn(&WeightsError) -> bool;
    let two = |a: (usize, usize), b: (usize, usize)| {
        format!(r#"{{"a":{{{}}},"b":{{{}}}}}"#, tensor(a.0, a.1), tensor(b.0, b.1))
    };
    let one = |dtype: &str, shape: &str, start: u64, end: u64| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}}}"#)
    };
    let cases: Vec<(&str, String, usize, Expected)> = vec![
        ("unknown type", one("F31", "[2]", 0, 8), 8, |e| {
            matches!(e, WeightsError::UnknownDtype { .. })
        }),
        ("lower case type", one("f32", "[2]", 0, 8), 8, |e| {
            matches!(e, WeightsError::UnknownDtype { .. })
        }),
        ("too short for its shape", one("F32", "[3]", 0, 8), 8, |e| {
            matches!(
                e,
                WeightsError::Length {
                    expected: 12,
                    found: 8,
                    ..
                }
            )
        }),
        ("too long for its type", one("F16", "[2]", 0, 8), 8, |e| {
            matches!(
                e,
                WeightsError::Length {
                    expected: 4,
                    found: 8,
                    ..
                }
            )
        }),
        ("a scalar of 8 bytes", one("F32", "[]", 0, 8), 8, |e| {
            matches!(e, WeightsError::Length { expected: 4, .. })
        }),
        ("end after the file", one("F32", "[2]", 0, 8), 7, |e| {
            matches!(
                e,
                WeightsError::OutOfRange {
                    end: 8,
                    data_bytes: 7,
                    ..
                }
            )
        }),
        (
            "end far after the file",
            one("F32", "[2]", u64::MAX - 8, u64::MAX),
            8,
            |e| matches!(e, WeightsError::OutOfRange { .. }),
        ),
        ("backwards", one("F32", "[2]", 8, 0), 8, |e| {
            matches!(e, WeightsError::OutOfRange { .. })
        }),
        (
            "shape overflow",
            one("F32", "[4294967296,4294967296,4294967296]", 0, 8),
            8,
            |e| matches!(e, WeightsError::ShapeOverflow { .. }),
        ),
        ("rank", one("F32", "[1,1,1,1,1,1,1,1,2]", 0, 8), 8, |e| {
            matches!(e, WeightsError::RankTooLarge { found: 9, .. })
        }),
        ("overlap", two((0, 8), (4, 12)), 12, |e| {
            matches!(
                e,
                WeightsError::Overlap {
                    start: 4,
                    other_end: 8,
                    ..
                }
            )
        }),
        ("the same place", two((0, 8), (0, 8)), 8, |e| {
            matches!(e, WeightsError::Overlap { .. })
        }),
        ("gap", two((0, 8), (12, 20)), 20, |e| {
            matches!(e, WeightsError::Unclaimed { at: 8, found: 4, .. })
        }),
        ("gap before the first", one("F32", "[2]", 4, 12), 12, |e| {
            matches!(e, WeightsError::Unclaimed { at: 0, found: 4, .. })
        }),
        ("bytes after the last", one("F32", "[2]", 0, 8), 9, |e| {
            matches!(e, WeightsError::Unclaimed { at: 8, found: 1, .. })
        }),
        ("data without tensors", "{}".to_string(), 3, |e| {
            matches!(e, WeightsError::Unclaimed { at: 0, found: 3, .. })
        }),
        (
            "listed twice",
            format!(r#"{{"a":{{{}}},"a":{{{}}}}}"#, tensor(0, 8), tensor(8, 16)),
            16,
            |e| matches!(e, WeightsError::Duplicate { .. }),
        ),
    ];
    for (what, header, data_bytes, expected) in cases {
        let error = refusal(file(&header, &vec![0; data_bytes]));
        assert!(expected(&error), "{what}: {error}");
        let message = error.to_string();
        assert!(message.contains("model.safetensors"), "{what}: {message}");
        let about_a_tensor = !matches!(error, WeightsError::Unclaimed { .. });
        assert!(
            !about_a_tensor || message.contains("tensor `"),
            "{what}: {message}"
        );
    }
}

#[test]
fn more_tensors_than_accepted() {
    let empty = r#":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#;
    let header = |count: usize| {
        let list: Vec<String> = (0..count).map(|i| format!("\"{i}\"{empty}")).collect();
        file(&format!("{{{}}}", list.join(",")), b"")
    };
    assert!(matches!(
        refusal(header(MAX_TENSORS + 1)),
        WeightsError::TooManyTensors { .. }
    ));
    assert_eq!(
        Weights::from_bytes(header(MAX_TENSORS), "most").unwrap().len(),
        MAX_TENSORS
    );
}

#[test]
fn empty_tensors_scalars_and_an_empty_file_are_fine() {
    assert!(Weights::from_bytes(file("{}", b""), "none").unwrap().is_empty());
    let header = r#"{"none":{"dtype":"F32","shape":[0,3],"data_offsets":[4,4]},"one":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#;
    let weights = Weights::from_bytes(file(header, &1.5f32.to_le_bytes()), "two").unwrap();
    assert_eq!(weights.view("one").unwrap().to_f32().unwrap(), [1.5]);
    assert_eq!(weights.view("none").unwrap().shape, [0, 3]);
    assert_eq!(weights.view("none").unwrap().to_f32().unwrap(), [0.0; 0]);
}

#[test]
fn asking_for_the_wrong_thing() {
    let tensors = [
        (
            "model.layers.0.mlp.up.weight".to_string(),
            Dtype::F32,
            vec![1],
            f32_bytes(&[1.0], Dtype::F32).unwrap(),
        ),
        ("ids".to_string(), Dtype::I64, vec![2], i64_bytes(&[1, -2])),
        (
            "big".to_string(),
            Dtype::U64,
            vec![1],
            u64::MAX.to_le_bytes().to_vec(),
        ),
        ("flags".to_string(), Dtype::Bool, vec![1], vec![1]),
    ];
    let weights = Weights::from_bytes(encode(&tensors, &BTreeMap::new()).unwrap(), "m").unwrap();
    let message = weights.view("layers.0.up.weight").unwrap_err().to_string();
    assert!(message.contains("`model.layers.0.mlp.up.weight`"), "{message}");
    assert!(
        !weights
            .view("nothing")
            .unwrap_err()
            .to_string()
            .contains("nearest")
    );
    let message = weights.view("ids").unwrap().to_f32().unwrap_err().to_string();
    assert_eq!(
        message,
        "tensor `ids` has element type I64, expected F32, F16 or BF16"
    );
    assert!(weights.view("flags").unwrap().to_i64().is_err());
    assert!(matches!(
        weights.view("big").unwrap().to_i64(),
        Err(WeightsError::Unrepresentable { at: 0, .. })
    ));
    assert_eq!(weights.view("ids").unwrap().to_i64().unwrap(), [1, -2]);
}
