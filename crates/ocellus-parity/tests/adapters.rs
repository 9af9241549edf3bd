//! Adapters as PEFT saves them, beside and apart from their bases and merged: what comes out is what the reference computes with
//! the adapter beside its weights.

use std::fs;
use std::path::{Path, PathBuf};

use ocellus_hub::Checkpoint;
use ocellus_parity::{Vocabularies, verify};
use ocellus_session::{Quant, merge};
use ocellus_testkit::case::goldens_dir;
use ocellus_weights::Weights;
use serde_json::{Value, json};

/// Of the largest value of a tensor: what f32 leaves of it after a dozen layers.
const TOLERANCE: f64 = 1e-5;

fn adapters() -> Vec<PathBuf> {
    let folders = fs::read_dir(goldens_dir().join("lora")).expect("golden adapters");
    let mut folders: Vec<PathBuf> = folders.map(|folder| folder.unwrap().path()).collect();
    folders.sort();
    folders
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(|file| file.unwrap().path()) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// The case of an adapter's base with what the reference computes with the adapter; its model folder is still to be made.
fn case(adapter: &Path, to: &Path) -> PathBuf {
    let base = goldens_dir().join(read(&adapter.join("adapter.json"))["base"].as_str().unwrap());
    let mut case = read(&base.join("case.json"));
    let expected = Weights::from_file(adapter.join("expected.safetensors")).unwrap();
    let largest = |name: &str| {
        let values = expected.view(name).unwrap().to_f32();
        values.map_or(0.0, |values| {
            values.iter().fold(1.0f32, |most, v| most.max(v.abs()))
        })
    };
    let stages: Vec<&str> = expected.names().collect();
    let tolerances = stages.iter().map(|name| {
        let atol = TOLERANCE * f64::from(largest(name));
        (
            (*name).to_owned(),
            json!({ "what": "", "atol": atol, "rtol": 0.0 }),
        )
    });
    case["expected"] = tolerances.collect::<serde_json::Map<_, _>>().into();
    case["stages"] = stages.into();
    if case["family"].as_str().unwrap().starts_with("qwen") {
        case["options"]["mrope"] = "5.23".into();
    }
    if case["options"].get("max_new_tokens").is_some() {
        case["options"]["max_new_tokens"] = 6.into();
    }
    fs::create_dir_all(to).unwrap();
    fs::write(to.join("case.json"), case.to_string()).unwrap();
    fs::copy(base.join("inputs.safetensors"), to.join("inputs.safetensors")).unwrap();
    fs::copy(
        adapter.join("expected.safetensors"),
        to.join("expected.safetensors"),
    )
    .unwrap();
    base.join("model")
}

/// What is wrong, if anything; says how far the logits are off.
fn tried(what: &str, case: &Path) -> Option<String> {
    let vocabularies = Vocabularies {
        files: &[],
        how_to_give: "",
    };
    let report = verify(&[case.to_owned()], &vocabularies, Quant::F32).remove(0);
    for row in &report.rows {
        println!(
            "{what} {}: {:?} {}",
            row.name,
            row.max_abs,
            row.note.clone().unwrap_or_default()
        );
    }
    match report.pass() {
        true => None,
        false => Some(format!("{what}: {:?} {:?}", report.trouble, report.first_wrong())),
    }
}

#[test]
fn adapters_beside_their_base_and_merged_are_what_the_reference_computes() {
    let mut wrong = Vec::new();
    for adapter in adapters() {
        let name = adapter.file_name().unwrap().to_string_lossy().into_owned();
        let place = tempfile::tempdir().unwrap();
        let (beside, merged) = (place.path().join("beside"), place.path().join("merged"));
        let base = case(&adapter, &beside);
        copy(&base, &beside.join("model"));
        copy(&adapter, &beside.join("model"));
        fs::remove_file(beside.join("model/expected.safetensors")).unwrap();
        wrong.extend(tried(&name, &beside));
        // The same adapter in a folder of its own, merged.
        case(&adapter, &merged);
        let apart = Checkpoint {
            adapter: Some(adapter.clone()),
            ..Checkpoint::folder(&base)
        };
        let written = merge(&apart, &merged.join("model")).unwrap();
        assert_eq!(written.adapter.warnings, [""; 0], "{name}");
        assert!(!merged.join("model/adapter_config.json").exists(), "{name}");
        // Rounding to the type of the base is more than f32 leaves.
        if name != "half" {
            wrong.extend(tried(&format!("{name}, merged"), &merged));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Merged matrices are rounded once from their sum in f32.
#[test]
fn merged_weights_have_the_type_of_the_base() {
    let adapter = goldens_dir().join("lora/half");
    let base = goldens_dir().join("qwen2_5_vl-bf16/model");
    let place = tempfile::tempdir().unwrap();
    let apart = Checkpoint {
        adapter: Some(adapter.clone()),
        ..Checkpoint::folder(&base)
    };
    merge(&apart, &place.path().join("model")).unwrap();
    let (before, after) = (
        Weights::open(&base).unwrap(),
        Weights::open(&place.path().join("model")).unwrap(),
    );
    let tensors = Weights::from_file(adapter.join("adapter_model.safetensors")).unwrap();
    let mut changed = 0;
    for name in before.names() {
        let (old, new) = (before.view(name).unwrap(), after.view(name).unwrap());
        assert_eq!((old.dtype, &old.shape), (new.dtype, &new.shape), "{name}");
        let module = name
            .trim_end_matches(".weight")
            .replace("model.layers", "model.language_model.layers");
        let module = module.replace("visual.", "model.visual.");
        let part = |part| tensors.view(&format!("base_model.model.{module}.{part}.weight"));
        let (Ok(a), Ok(b)) = (part("lora_A"), part("lora_B")) else {
            assert_eq!(old.bytes, new.bytes, "{name}");
            continue;
        };
        changed += 1;
        let (rank, columns) = (a.shape[0], a.shape[1]);
        let (a, b) = (a.to_f32().unwrap(), b.to_f32().unwrap());
        let (old, new) = (old.to_f32().unwrap(), new.to_f32().unwrap());
        for (at, (old, new)) in old.iter().zip(new).enumerate() {
            let (row, column) = (at / columns, at % columns);
            let product: f64 = (0..rank)
                .map(|k| f64::from(b[row * rank + k]) * f64::from(a[k * columns + column]))
                .sum();
            let sum = f64::from(*old) + 2.0 * product;
            // Half a step of bf16, and what f32 loses before.
            assert!(
                (sum - f64::from(new)).abs() <= sum.abs() * 0.0040 + 1e-6,
                "{name} {at}: {sum} {new}"
            );
        }
    }
    assert_eq!(changed, 8);
}
