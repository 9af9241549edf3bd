//! `ocellus verify` as a user runs it, over the golden cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ocellus_weights::{Dtype, TensorBytes, Weights};
use serde_json::Value;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens")
}

fn vocabulary() -> PathBuf {
    goldens().join("vocab/qwen.tiktoken")
}

/// Cases of families that this build knows and that are not run, each with the reason: token cases whose vocabulary may not
/// lie in `tests/goldens/vocab`. Nothing else has a place here.
const LEFT_OUT: &[(&str, &str)] = &[];

/// Every case of the families that this build knows, by their ids and other names.
fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(goldens())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.retain(|case| {
        let json = fs::read(case.join("case.json")).ok();
        let json: Option<Value> = json.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let family = json.and_then(|json| json["family"].as_str().map(str::to_owned));
        let left_out = LEFT_OUT.iter().any(|(name, _)| case.ends_with(name));
        !left_out && family.is_some_and(|name| ocellus_models::families::named(&name).is_some())
    });
    cases.sort();
    cases
}

fn verify(arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> (i32, String, Output) {
    let output = Command::new(env!("CARGO_BIN_EXE_ocellus"))
        .arg("verify")
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap(), text, output)
}

/// The rows of the only case in a JSON report.
fn only(json: &str) -> (Value, Vec<Value>) {
    let report: Value = serde_json::from_str(json).unwrap();
    let case = report["cases"][0].clone();
    let rows = case["tensors"].as_array().unwrap().clone();
    (case, rows)
}

/// A copy of a case in a set of its own, with `change` applied to one tensor of its expected values.
fn changed(case: &str, tensor: &str, change: impl Fn(&mut Vec<f32>)) -> (tempfile::TempDir, PathBuf) {
    let set = tempfile::tempdir().unwrap();
    let folder = set.path().join("copy");
    copy(&goldens().join(case), &folder);
    let file = folder.join("expected.safetensors");
    let expected = Weights::from_bytes(fs::read(&file).unwrap(), "expected").unwrap();
    let tensors: Vec<TensorBytes> = expected
        .names()
        .map(|name| {
            let view = expected.view(name).unwrap();
            let mut bytes = view.bytes.to_vec();
            if name == tensor {
                assert_eq!(view.dtype, Dtype::F32);
                let mut values = view.to_f32().unwrap();
                change(&mut values);
                bytes = ocellus_weights::f32_bytes(&values, Dtype::F32).unwrap();
            }
            (name.to_owned(), view.dtype, view.shape.clone(), bytes)
        })
        .collect();
    ocellus_weights::write(&file, &tensors, &BTreeMap::new()).unwrap();
    (set, folder)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// The tolerance on a value of a tensor, from the case itself.
fn tolerance(case: &str, tensor: &str, value: f32) -> f32 {
    let json: Value =
        serde_json::from_slice(&fs::read(goldens().join(case).join("case.json")).unwrap()).unwrap();
    let number = |key: &str| json["expected"][tensor][key].as_f64().unwrap() as f32;
    number("atol") + number("rtol") * value.abs()
}

#[test]
fn every_case_of_every_family_passes() {
    let cases = cases();
    assert!(cases.len() >= 53, "only {} cases", cases.len());
    let (code, text, _) = verify(
        cases
            .iter()
            .map(PathBuf::as_path)
            .chain([Path::new("--vocabulary"), &vocabulary()]),
    );
    assert_eq!(code, 0, "{text}");
    assert!(
        text.ends_with(&format!("{0} of {0} cases pass\n", cases.len())),
        "{text}"
    );
}

#[test]
fn only_cases_without_a_vocabulary_here_are_left_out() {
    for (name, reason) in LEFT_OUT {
        let json: Value =
            serde_json::from_slice(&fs::read(goldens().join(name).join("case.json")).unwrap()).unwrap();
        let file = json["options"]["vocabulary"]["file"].as_str().unwrap();
        assert!(!goldens().join("vocab").join(file).exists(), "{name}: {reason}");
    }
}

#[test]
fn json_has_a_row_for_every_expected_tensor_in_order() {
    let name = "qwen2_5_vl-bf16";
    let json = fs::read(goldens().join(name).join("case.json")).unwrap();
    let stages = serde_json::from_slice::<Value>(&json).unwrap()["stages"]
        .as_array()
        .unwrap()
        .clone();
    let (code, text, _) = verify([
        goldens().join(name).as_os_str(),
        "--format".as_ref(),
        "json".as_ref(),
    ]);
    let (case, rows) = only(&text);
    let names: Vec<Value> = rows.iter().map(|row| row["name"].clone()).collect();
    assert_eq!((code, names), (0, stages));
    assert_eq!(
        (&case["case"], &case["family"], &case["pass"]),
        (&name.into(), &"qwen2_5_vl".into(), &true.into())
    );
    assert!(
        rows.iter()
            .all(|r| r["max_abs"].is_number() && r["cosine"].is_number() && r["pass"] == true)
    );
}

#[test]
fn one_value_out_of_tolerance_fails_its_tensor_and_no_other() {
    let (case, tensor) = ("qwen2_vl-multi-449", "vision_last");
    for (times, fails) in [(0.5, false), (3.0, true)] {
        let (_set, folder) = changed(case, tensor, |values| {
            values[5] += times * tolerance(case, tensor, values[5]);
        });
        let (code, text, _) = verify([folder.as_os_str(), "--format".as_ref(), "json".as_ref()]);
        let wrong: Vec<Value> = only(&text).1.into_iter().filter(|r| r["pass"] == false).collect();
        assert_eq!(code, i32::from(fails), "{times} tolerances: {text}");
        assert_eq!(wrong.len(), usize::from(fails), "{text}");
        assert!(wrong.iter().all(|r| r["name"] == tensor), "{text}");
        let (_, text, _) = verify([folder.as_os_str()]);
        let marked = text.lines().find(|l| l.contains("first wrong stage"));
        assert_eq!(
            marked.is_some_and(|l| l.trim_start().starts_with(tensor)),
            fails,
            "{text}"
        );
    }
}

#[test]
fn a_tensor_that_nobody_produces_is_a_failure() {
    let set = tempfile::tempdir().unwrap();
    let folder = set.path().join("copy");
    copy(&goldens().join("qwen2_vl-pos-449"), &folder);
    let file = folder.join("expected.safetensors");
    let expected = Weights::from_bytes(fs::read(&file).unwrap(), "expected").unwrap();
    let mut tensors: Vec<TensorBytes> = vec![(
        "unheard_of".into(),
        Dtype::I64,
        vec![1],
        ocellus_weights::i64_bytes(&[7]),
    )];
    for name in expected.names() {
        let view = expected.view(name).unwrap();
        tensors.push((
            name.to_owned(),
            view.dtype,
            view.shape.clone(),
            view.bytes.to_vec(),
        ));
    }
    ocellus_weights::write(&file, &tensors, &BTreeMap::new()).unwrap();
    let path = folder.join("case.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["stages"]
        .as_array_mut()
        .unwrap()
        .insert(0, "unheard_of".into());
    json["expected"]["unheard_of"] = serde_json::json!({"what": "", "atol": 1e9, "rtol": 1e9});
    fs::write(&path, json.to_string()).unwrap();
    let (code, text, _) = verify([folder.as_os_str(), "--format".as_ref(), "json".as_ref()]);
    let (case, rows) = only(&text);
    assert_eq!((code, &case["first_wrong"]), (1, &"unheard_of".into()));
    assert_eq!(
        (&rows[0]["pass"], &rows[0]["note"]),
        (&false.into(), &"not produced".into())
    );
    assert!(rows[1..].iter().all(|r| r["pass"] == true), "{text}");
}

#[test]
fn answers_stop_at_an_end_token_and_are_padded() {
    let set = tempfile::tempdir().unwrap();
    let folder = set.path().join("copy");
    copy(&goldens().join("qwen2_vl-batch-523"), &folder);
    let file = folder.join("expected.safetensors");
    let expected = Weights::from_bytes(fs::read(&file).unwrap(), "expected").unwrap();
    let view = expected.view("greedy_ids").unwrap();
    let (steps, mut ids) = (view.shape[1], view.to_i64().unwrap());
    // The first row stops at its second token; the others wherever they happen to have the same one.
    let end = ids[1];
    let mut longest = 0;
    for row in ids.chunks_exact_mut(steps) {
        let stop = row.iter().position(|id| *id == end).map_or(steps, |at| at + 1);
        row[stop..].fill(77);
        longest = longest.max(stop);
    }
    let cut: Vec<i64> = ids
        .chunks_exact(steps)
        .flat_map(|row| row[..longest].to_vec())
        .collect();
    let tensor = (
        "greedy_ids".into(),
        Dtype::I64,
        vec![view.shape[0], longest],
        ocellus_weights::i64_bytes(&cut),
    );
    ocellus_weights::write(&file, &[tensor], &BTreeMap::new()).unwrap();
    let path = folder.join("case.json");
    let json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for end in [serde_json::json!(end), serde_json::json!([end, 9999])] {
        let mut json = json.clone();
        json["stages"] = serde_json::json!(["greedy_ids"]);
        json["options"]["eos"] = end.clone();
        json["options"]["pad"] = 77.into();
        fs::write(&path, json.to_string()).unwrap();
        let (code, text, _) = verify([folder.as_os_str()]);
        assert_eq!(code, 0, "end {end}: {text}");
    }
}

#[test]
fn a_case_without_its_vocabulary_fails_with_a_hint() {
    for case in ["qwen2_5_vl-tokens", "qwen2_5_vl-chat-template"] {
        let (code, text, _) = verify([goldens().join(case).as_os_str()]);
        assert!(code == 1 && text.contains("--vocabulary FILE"), "{case}: {text}");
    }
    // A vocabulary that is not the one the case names.
    let set = tempfile::tempdir().unwrap();
    let other = set.path().join("other.tiktoken");
    fs::write(&other, "IQ== 0\n").unwrap();
    let case = goldens().join("qwen2_5_vl-tokens");
    let (code, text, _) = verify([case.as_os_str(), "--vocabulary".as_ref(), other.as_os_str()]);
    assert!(code == 1 && text.contains("SHA-256"), "{text}");
    // Of several, the case takes the one it names, wherever it stands.
    let also = |vocabulary: &Path| {
        let (code, text, _) = verify([
            case.as_os_str(),
            "--vocabulary".as_ref(),
            other.as_os_str(),
            "--vocabulary".as_ref(),
            vocabulary.as_os_str(),
        ]);
        (code, text)
    };
    let (code, text) = also(&vocabulary());
    assert_eq!(code, 0, "{text}");
    let (code, text) = also(&other);
    assert!(code == 1 && text.contains("none of the 2 vocabularies"), "{text}");
}

#[test]
fn what_is_no_case_of_ours_fails_with_a_sentence_and_the_rest_goes_on() {
    let set = tempfile::tempdir().unwrap();
    let (good, stranger, task) = (
        goldens().join("qwen2_vl-pos-523"),
        set.path().join("a"),
        set.path().join("b"),
    );
    for (folder, field) in [(&stranger, "family"), (&task, "task")] {
        copy(&good, folder);
        let path = folder.join("case.json");
        let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        json[field] = "nobody".into();
        fs::write(path, json.to_string()).unwrap();
    }
    let (code, text, _) = verify([set.path(), stranger.as_path(), task.as_path(), good.as_path()]);
    assert_eq!(code, 1);
    for sentence in [
        "does not know the family `nobody`",
        "does not know the task `nobody`",
        "1 of 3 cases pass",
    ] {
        assert!(text.contains(sentence), "{sentence}: {text}");
    }
}
