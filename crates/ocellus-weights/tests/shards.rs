//! Folders: one file, shards with an index, and everything that can be wrong with an index.

use ocellus_weights::{Dtype, Weights, WeightsError, f32_bytes, write};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn save(path: &Path, tensors: &[(&str, f32)]) {
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                Dtype::F32,
                vec![1],
                f32_bytes(&[*value], Dtype::F32).unwrap(),
            )
        })
        .collect();
    write(path, &tensors, &BTreeMap::new()).unwrap();
}

fn index(dir: &Path, weight_map: &str) {
    let text = format!(r#"{{"metadata":{{"total_size":1}},"weight_map":{weight_map}}}"#);
    fs::write(dir.join("model.safetensors.index.json"), text).unwrap();
}

#[test]
fn shards_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    save(&dir.path().join("one.safetensors"), &[("a", 1.0), ("extra", 5.0)]);
    save(&dir.path().join("two.safetensors"), &[("b", 2.0), ("c", 3.0)]);
    index(
        dir.path(),
        r#"{"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"}"#,
    );
    let weights = Weights::open(dir.path()).unwrap();
    assert_eq!(weights.names().collect::<Vec<_>>(), ["a", "b", "c", "extra"]);
    for (name, value) in [("a", 1.0), ("b", 2.0), ("c", 3.0), ("extra", 5.0)] {
        assert_eq!(weights.view(name).unwrap().to_f32().unwrap(), [value]);
    }
    assert_eq!(weights.total_bytes(), 16);
    assert!(
        weights
            .view("d")
            .unwrap_err()
            .to_string()
            .contains("model.safetensors.index.json")
    );
}

#[test]
fn the_index_decides_between_two_copies() {
    let dir = tempfile::tempdir().unwrap();
    save(&dir.path().join("one.safetensors"), &[("a", 1.0), ("b", 9.0)]);
    save(&dir.path().join("two.safetensors"), &[("b", 2.0)]);
    index(dir.path(), r#"{"a":"one.safetensors","b":"two.safetensors"}"#);
    let weights = Weights::open(dir.path()).unwrap();
    assert_eq!(weights.view("b").unwrap().to_f32().unwrap(), [2.0]);
}

#[test]
fn a_single_file_is_preferred_and_other_names_are_found() {
    let dir = tempfile::tempdir().unwrap();
    save(&dir.path().join("consolidated.safetensors"), &[("only", 1.0)]);
    assert_eq!(
        Weights::open(dir.path()).unwrap().names().collect::<Vec<_>>(),
        ["only"]
    );
    save(&dir.path().join("model.safetensors"), &[("main", 1.0)]);
    index(dir.path(), r#"{"only":"consolidated.safetensors"}"#);
    assert_eq!(
        Weights::open(dir.path()).unwrap().names().collect::<Vec<_>>(),
        ["main"]
    );
}

/// A folder may hold several layouts of the same checkpoint.
#[test]
fn the_order_of_preference() {
    let shard = "model-00001-of-00001.safetensors";
    let index = "model.safetensors.index.json";
    let cases: &[(&str, &[&str], &str)] = &[
        (
            "publisher's layout",
            &["params.json", "consolidated.safetensors", "tekken.json"],
            "consolidated.safetensors",
        ),
        (
            "publisher's layout beside others",
            &[
                "consolidated.safetensors",
                "adapter.safetensors",
                "pytorch_model.bin",
            ],
            "consolidated.safetensors",
        ),
        ("both layouts", &["consolidated.safetensors", index, shard], index),
        (
            "single before shards",
            &["model.safetensors", index, shard],
            "model.safetensors",
        ),
        (
            "another index",
            &["big.safetensors.index.json", "a.safetensors"],
            "big.safetensors.index.json",
        ),
        (
            "the only safetensors",
            &["nano.safetensors", "pytorch_model.bin"],
            "nano.safetensors",
        ),
        (
            "torch",
            &["pytorch_model.bin", "training_args.bin", "rng.pth"],
            "pytorch_model.bin",
        ),
        (
            "torch shards",
            &["pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"],
            "pytorch_model.bin.index.json",
        ),
        (
            "other torch shards",
            &["a.bin", "b.bin", "weights.bin.index.json"],
            "weights.bin.index.json",
        ),
        ("the only .pth", &["config.json", "big.pth"], "big.pth"),
        ("the only .pt", &["big.pt"], "big.pt"),
        ("the only .ckpt", &["big.ckpt"], "big.ckpt"),
        ("the only .th", &["big.th"], "big.th"),
        ("two of torch", &["a.pth", "b.pt"], ""),
        (
            "two safetensors and what a trainer left",
            &["a.safetensors", "b.safetensors", "rng.pth"],
            "",
        ),
        ("nothing", &["config.json"], ""),
    ];
    for (what, files, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        for file in *files {
            fs::write(dir.path().join(file), "no weights").unwrap();
        }
        // Nothing in the folder can be read, so that the message tells which file was chosen.
        let error = Weights::open(dir.path()).expect_err(what);
        match expected.is_empty() {
            true => assert!(matches!(error, WeightsError::NoWeights { .. }), "{what}: {error}"),
            false => {
                let chosen = format!("{}", dir.path().join(expected).display());
                let message = error.to_string();
                assert!(
                    message.starts_with(&chosen),
                    "{what}: expected {chosen}, found: {message}"
                );
                let rest = &message[chosen.len()..];
                assert!(rest.starts_with([' ', ':']), "{what}: {message}");
            }
        }
    }
}

#[test]
fn damaged_indexes() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "missing shard",
            r#"{"a":"one.safetensors","b":"three.safetensors","c":"three.safetensors"}"#,
            &["`three.safetensors`", "missing", "2 tensors"],
        ),
        (
            "tensor not in its shard",
            r#"{"a":"one.safetensors","z":"one.safetensors"}"#,
            &["tensor `z`", "`one.safetensors`", "does not hold"],
        ),
        (
            "parent folder",
            r#"{"a":"../one.safetensors"}"#,
            &["`../one.safetensors`", "leaves"],
        ),
        ("absolute", r#"{"a":"/one.safetensors"}"#, &["leaves"]),
        (
            "placed twice",
            r#"{"a":"one.safetensors","a":"one.safetensors"}"#,
            &["tensor `a` is placed twice"],
        ),
        (
            "in two shards, in no index",
            r#"{"a":"one.safetensors","b":"two.safetensors"}"#,
            &["`same`", "twice"],
        ),
        ("empty", "{}", &["empty"]),
        ("a list", "[]", &["index.json is damaged"]),
        (
            "shard is a folder",
            r#"{"a":"folder"}"#,
            &["folder", "not a regular file"],
        ),
    ];
    for (what, map, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        save(&dir.path().join("one.safetensors"), &[("a", 1.0), ("same", 1.0)]);
        save(&dir.path().join("two.safetensors"), &[("b", 1.0), ("same", 1.0)]);
        fs::create_dir(dir.path().join("folder")).unwrap();
        index(dir.path(), map);
        let message = Weights::open(dir.path()).expect_err(what).to_string();
        for part in *expected {
            assert!(message.contains(part), "{what}: `{part}` is not in: {message}");
        }
    }
}

#[test]
fn traversal_is_refused_even_when_the_file_exists() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("checkpoint");
    fs::create_dir(&inner).unwrap();
    save(&dir.path().join("secret.safetensors"), &[("a", 1.0)]);
    index(&inner, r#"{"a":"../secret.safetensors"}"#);
    assert!(matches!(
        Weights::open(&inner),
        Err(WeightsError::ShardOutside { .. })
    ));
}

#[test]
fn a_damaged_shard_is_named() {
    let dir = tempfile::tempdir().unwrap();
    save(&dir.path().join("one.safetensors"), &[("a", 1.0)]);
    fs::write(
        dir.path().join("two.safetensors"),
        "version https://git-lfs.github.com/spec/v1\n",
    )
    .unwrap();
    index(dir.path(), r#"{"a":"one.safetensors","b":"two.safetensors"}"#);
    let message = Weights::open(dir.path()).unwrap_err().to_string();
    assert!(
        message.contains("two.safetensors is a Git LFS pointer"),
        "{message}"
    );
}

#[test]
fn folders_without_weights_say_what_they_hold() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        Weights::open(dir.path())
            .unwrap_err()
            .to_string()
            .contains("no weight files")
    );
    fs::write(dir.path().join("pytorch_model.bin"), "x").unwrap();
    assert!(
        Weights::open(dir.path())
            .unwrap_err()
            .to_string()
            .contains("pytorch_model.bin")
    );
    assert!(matches!(
        Weights::open(&dir.path().join("absent")),
        Err(WeightsError::Io { .. })
    ));
}

#[test]
fn published_style_checkpoints_open() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens");
    for (case, tensor, dtype) in [
        ("qwen2_5_vl-bf16", "model.norm.weight", Dtype::Bf16),
        ("qwen2_vl-tied-text", "model.norm.weight", Dtype::F32),
    ] {
        let weights = Weights::open(&goldens.join(case).join("model")).unwrap();
        let view = weights.view(tensor).unwrap();
        assert_eq!(view.dtype, dtype, "{case}");
        let values = view.to_f32().unwrap();
        assert_eq!(values.len(), view.shape[0], "{case}");
        assert!(
            values.iter().all(|v| v.is_finite() && v.abs() < 10.0),
            "{case}: {values:?}"
        );
        assert!(
            values.iter().any(|v| *v != values[0]),
            "{case}: all values are equal"
        );
    }
}

#[test]
fn shards_without_an_index_say_themselves_what_they_hold() {
    for (stem, ending) in [("model", ".safetensors"), ("consolidated", ".safetensors")] {
        let dir = tempfile::tempdir().unwrap();
        let shard = |at: usize| dir.path().join(format!("{stem}-{at:05}-of-00002{ending}"));
        save(&shard(1), &[("a", 1.0)]);
        // A single shard of two is no model.
        let error = Weights::open(dir.path()).unwrap_err();
        assert!(matches!(&error, WeightsError::NoShard { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains(&format!("{stem}-00002-of-00002{ending}")),
            "{error}"
        );
        save(&shard(2), &[("b", 2.0)]);
        let weights = Weights::open(dir.path()).unwrap();
        assert_eq!(weights.names().collect::<Vec<_>>(), ["a", "b"]);
        save(&shard(2), &[("a", 2.0)]);
        assert!(matches!(
            Weights::open(dir.path()),
            Err(WeightsError::Duplicate { .. })
        ));
    }
}

#[test]
fn matrices_of_zeros_are_told() {
    let zeros = vec![0.0; 64 * 64];
    let mut last = zeros.clone();
    last[64 * 64 - 1] = 1e-3;
    let matrix = |name: &str, values: &[f32]| {
        (
            name.to_string(),
            Dtype::F32,
            vec![64, 64],
            f32_bytes(values, Dtype::F32).unwrap(),
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let vector = (
        "bias".to_string(),
        Dtype::F32,
        vec![64 * 64],
        f32_bytes(&zeros, Dtype::F32).unwrap(),
    );
    let small = (
        "small".to_string(),
        Dtype::F32,
        vec![8, 8],
        f32_bytes(&zeros[..64], Dtype::F32).unwrap(),
    );
    let tensors = [matrix("blank", &zeros), matrix("nearly", &last), vector, small];
    write(&path, &tensors, &BTreeMap::new()).unwrap();
    assert_eq!(Weights::open(dir.path()).unwrap().blank(), ["blank"]);
}

#[test]
fn matrices_of_no_numbers_are_named() {
    let nan = vec![f32::NAN; 64 * 64];
    let mut one = nan.clone();
    one[64 * 64 - 1] = 1.0;
    let mut few = vec![1.0; 64 * 64];
    few[..32].fill(f32::NAN);
    let kinds = [("f32", Dtype::F32), ("f16", Dtype::F16), ("bf16", Dtype::Bf16)];
    let matrix = |(name, dtype): (&str, Dtype), what: &str, values: &[f32]| {
        (
            format!("{name}.{what}"),
            dtype,
            vec![64, 64],
            f32_bytes(values, dtype).unwrap(),
        )
    };
    let mut tensors = Vec::new();
    for kind in kinds {
        tensors.push(matrix(kind, "all", &nan));
        tensors.push(matrix(kind, "one", &one));
        tensors.push(matrix(kind, "few", &few));
    }
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("model.safetensors"), &tensors, &BTreeMap::new()).unwrap();
    let found = Weights::open(dir.path()).unwrap().without_numbers();
    assert_eq!(found, ["bf16.all", "f16.all", "f32.all"]);
}

#[test]
fn channels_that_come_last_are_put_first() {
    let values: Vec<f32> = (0..2 * 3 * 5 * 3).map(|i| i as f32).collect();
    let kernel = (
        "k".to_string(),
        Dtype::F32,
        vec![2, 3, 5, 3],
        f32_bytes(&values, Dtype::F32).unwrap(),
    );
    let bytes = ocellus_weights::encode(&[kernel], &BTreeMap::new()).unwrap();
    let assembly = ocellus_weights::Assembly::ChannelsFirst("k".to_string());
    let weights = Weights::from_bytes(bytes, "k")
        .unwrap()
        .rebuilt(BTreeMap::from([("k".to_string(), assembly)]))
        .unwrap();
    let view = weights.view("k").unwrap();
    assert_eq!(view.shape, [2, 3, 3, 5]);
    let found = view.to_f32().unwrap();
    // Output 1, channel 2, row 1, column 4.
    assert_eq!(
        found[((3 + 2) * 3 + 1) * 5 + 4],
        values[((3 + 1) * 5 + 4) * 3 + 2]
    );
}
