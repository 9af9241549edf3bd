//! The torch files of the golden cases hold what the safetensors beside them hold.

use ocellus_weights::Weights;
use std::fs;
use std::path::PathBuf;

fn model(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens")
        .join(case)
        .join("model")
}

fn assert_same(what: &str, torch: &Weights, twin: &Weights) {
    let (names, expected): (Vec<_>, Vec<_>) = (torch.names().collect(), twin.names().collect());
    assert_eq!(names, expected, "{what}");
    assert!(names.len() > 20, "{what}: only {} tensors", names.len());
    for name in names {
        let (got, expected) = (torch.view(name).unwrap(), twin.view(name).unwrap());
        assert_eq!(
            (got.dtype, &got.shape),
            (expected.dtype, &expected.shape),
            "{what}: {name}"
        );
        assert!(got.bytes == expected.bytes, "{what}: the values of {name} differ");
    }
}

#[test]
fn torch_files_equal_their_twins() {
    for (case, file) in [
        ("vilbert-pretrain", "pytorch_model.bin"),
        ("uniter-mlm-itm", "uniter-base.pt"),
        ("albef-itc-itm-mlm", "ALBEF.pth"),
        ("vlmo-base", "vlmo_base_patch16_224.pt"),
        ("qwen_vl-two-images", "pytorch_model.bin.index.json"),
    ] {
        let path = model(case).join(file);
        let torch = if file.ends_with(".json") {
            Weights::from_index(&path).unwrap()
        } else {
            Weights::from_file(&path).unwrap()
        };
        assert_same(case, &torch, &Weights::open(&model(case)).unwrap());
    }
}

#[test]
fn a_folder_with_nothing_else_opens_by_its_torch_files() {
    for (case, files) in [
        (
            "qwen_vl-two-images",
            &[
                "pytorch_model.bin.index.json",
                "pytorch_model-00001-of-00002.bin",
                "pytorch_model-00002-of-00002.bin",
            ][..],
        ),
        ("vilbert-pretrain", &["pytorch_model.bin"]),
        ("albef-itc-itm-mlm", &["ALBEF.pth"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            fs::copy(model(case).join(file), dir.path().join(file)).unwrap();
        }
        let torch = Weights::open(dir.path()).unwrap();
        assert_same(case, &torch, &Weights::open(&model(case)).unwrap());
    }
}

#[test]
fn published_files_cut_anywhere_are_refused() {
    for (case, file) in [
        ("uniter-mlm-itm", "uniter-base.pt"),
        ("vlmo-base", "vlmo_base_patch16_224.pt"),
    ] {
        let bytes = fs::read(model(case).join(file)).unwrap();
        for length in (0..bytes.len()).step_by(997).chain([bytes.len() - 1]) {
            let cut = Weights::from_bytes(bytes[..length].to_vec(), file);
            assert!(
                cut.is_err(),
                "{file}: {length} of {} bytes were read",
                bytes.len()
            );
        }
    }
}
