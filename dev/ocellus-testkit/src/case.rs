//! Golden cases: a folder with `case.json`, a tiny checkpoint, inputs, and what the reference computed from them.
//!
//! The format is described in `tests/goldens/README.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Deserialize;

use crate::compare::assert_close;

/// The project's own set, `tests/goldens` at the repository root.
pub fn goldens_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens")
}

/// One case, read whole into memory.
#[derive(Debug)]
pub struct Case {
    /// The folder it was read from.
    pub dir: PathBuf,
    /// The family it belongs to, as the reference names its model type.
    pub family: String,
    /// Its name inside the family; the folder is `<family>-<name>`.
    pub name: String,
    /// What is computed: `logits`, `generate`, `loss`, `positions`, `preprocess`, `tokens`, `template` …
    pub task: String,
    /// Everything that is not a tensor.
    pub options: serde_json::Value,
    /// Names of `expected`, from early to late: report the first that is wrong.
    pub stages: Vec<String>,
    /// By name in `expected`.
    pub tolerances: BTreeMap<String, Tolerance>,
    /// Empty where a case has no `inputs.safetensors`.
    pub inputs: BTreeMap<String, Tensor>,
    pub expected: BTreeMap<String, Tensor>,
}

/// `|got - expected| <= atol + rtol * |expected|`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Tolerance {
    pub atol: f64,
    pub rtol: f64,
}

/// A tensor of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Values,
}

/// The three types that cases use.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    F32(Vec<f32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
}

#[derive(Deserialize)]
struct Header {
    family: String,
    name: String,
    task: String,
    #[serde(default)]
    options: serde_json::Value,
    #[serde(default)]
    stages: Vec<String>,
    #[serde(default)]
    expected: BTreeMap<String, Tolerance>,
}

impl Case {
    /// Reads the case in `dir`.
    ///
    /// # Panics
    /// When a file is missing or broken, naming it.
    #[track_caller]
    pub fn read(dir: impl AsRef<Path>) -> Self {
        let dir = dir.as_ref().to_path_buf();
        let path = dir.join("case.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let header: Header =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let inputs = dir.join("inputs.safetensors");
        Self {
            inputs: if inputs.exists() {
                tensors(&inputs)
            } else {
                BTreeMap::new()
            },
            expected: tensors(&dir.join("expected.safetensors")),
            family: header.family,
            name: header.name,
            task: header.task,
            options: header.options,
            stages: header.stages,
            tolerances: header.expected,
            dir,
        }
    }

    /// Reads `tests/goldens/<folder>`.
    #[track_caller]
    pub fn golden(folder: &str) -> Self {
        Self::read(goldens_dir().join(folder))
    }

    /// Folders of `tests/goldens` that hold a case, sorted, whose name starts with `prefix`.
    #[track_caller]
    pub fn folders(prefix: &str) -> Vec<String> {
        let root = goldens_dir();
        let entries = fs::read_dir(&root).unwrap_or_else(|e| panic!("{}: {e}", root.display()));
        let mut folders: Vec<String> = entries
            .filter_map(|entry| entry.ok())
            .filter(|entry| entry.path().join("case.json").exists())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with(prefix))
            .collect();
        folders.sort();
        folders
    }

    /// Where the checkpoint lies; the folder may be absent (see the format).
    pub fn model_dir(&self) -> PathBuf {
        self.dir.join("model")
    }

    /// A picture file: paths in `options` are relative to the set, not to the case.
    pub fn picture(&self, relative: &str) -> PathBuf {
        self.dir.join("..").join(relative)
    }

    /// The input `name`.
    #[track_caller]
    pub fn input(&self, name: &str) -> &Tensor {
        self.find(&self.inputs, "input", name)
    }

    /// The expected tensor `name`.
    #[track_caller]
    pub fn expect(&self, name: &str) -> &Tensor {
        self.find(&self.expected, "expected tensor", name)
    }

    /// Fails the test unless `got` is within the case's own tolerance of the expected tensor `name`.
    #[track_caller]
    pub fn assert_close(&self, name: &str, got: &[f32]) {
        let Tolerance { atol, rtol } = self.tolerances.get(name).copied().unwrap_or_else(|| {
            panic!(
                "{}-{}: case.json states no tolerance for `{name}`",
                self.family, self.name
            )
        });
        let what = format!("{}-{}, `{name}`", self.family, self.name);
        assert_close(&what, got, self.expect(name).f32s(), atol, rtol);
    }

    #[track_caller]
    fn find<'a>(&self, map: &'a BTreeMap<String, Tensor>, kind: &str, name: &str) -> &'a Tensor {
        map.get(name).unwrap_or_else(|| {
            let known: Vec<&str> = map.keys().map(String::as_str).collect();
            panic!(
                "{}-{}: no {kind} `{name}`; there are {known:?}",
                self.family, self.name
            )
        })
    }
}

impl Tensor {
    /// # Panics
    /// When the tensor is not float.
    #[track_caller]
    pub fn f32s(&self) -> &[f32] {
        let Values::F32(values) = &self.values else {
            panic!("not f32: {self:?}")
        };
        values
    }

    /// # Panics
    /// When the tensor is not integer.
    #[track_caller]
    pub fn i64s(&self) -> &[i64] {
        let Values::I64(values) = &self.values else {
            panic!("not i64: {self:?}")
        };
        values
    }

    /// # Panics
    /// When the tensor is not bytes.
    #[track_caller]
    pub fn u8s(&self) -> &[u8] {
        let Values::U8(values) = &self.values else {
            panic!("not u8: {self:?}")
        };
        values
    }

    /// Integer values as token ids.
    ///
    /// # Panics
    /// When the tensor is not integer or a value is no id.
    #[track_caller]
    pub fn ids(&self) -> Vec<u32> {
        let id = |&value: &i64| u32::try_from(value).unwrap_or_else(|_| panic!("{value} is not a token id"));
        self.i64s().iter().map(id).collect()
    }
}

/// Every tensor of a safetensors file.
///
/// # Panics
/// When the file is missing, broken, or holds a type that cases do not use.
#[track_caller]
pub fn tensors(path: &Path) -> BTreeMap<String, Tensor> {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    file.iter()
        .map(|(name, view)| (name.to_string(), tensor(path, name, &view)))
        .collect()
}

#[track_caller]
fn tensor(path: &Path, name: &str, view: &TensorView<'_>) -> Tensor {
    let bytes = view.data();
    let values = match view.dtype() {
        Dtype::F32 => Values::F32(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|&b| f32::from_le_bytes(b))
                .collect(),
        ),
        Dtype::I64 => Values::I64(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|&b| i64::from_le_bytes(b))
                .collect(),
        ),
        Dtype::U8 => Values::U8(bytes.to_vec()),
        other => panic!(
            "{}: tensor `{name}` is {other:?}, cases use F32, I64 and U8",
            path.display()
        ),
    };
    Tensor {
        shape: view.shape().to_vec(),
        values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_each;

    #[test]
    fn every_golden_case_reads_and_agrees_with_itself() {
        let table = Case::folders("")
            .into_iter()
            .map(|folder| (folder.clone(), folder));
        test_each(table, |folder| {
            let case = Case::golden(folder);
            assert_eq!(*folder, format!("{}-{}", case.family, case.name));
            for stage in &case.stages {
                case.expect(stage);
            }
            for (name, tensor) in case.inputs.iter().chain(&case.expected) {
                let count = match &tensor.values {
                    Values::F32(values) => values.len(),
                    Values::I64(values) => values.len(),
                    Values::U8(values) => values.len(),
                };
                assert_eq!(count, tensor.shape.iter().product::<usize>(), "{name}");
            }
            for (name, tensor) in &case.expected {
                if let Values::F32(values) = &tensor.values {
                    case.assert_close(name, values);
                }
            }
        });
    }

    #[test]
    fn a_difference_is_reported_with_case_and_tensor() {
        let folder = Case::folders("")
            .into_iter()
            .find(|folder| Case::golden(folder).expected.contains_key("logits"));
        let case = Case::golden(&folder.expect("there is a case with logits"));
        let mut logits = case.expect("logits").f32s().to_vec();
        logits[5] += 1.0;
        let failure = std::panic::catch_unwind(|| case.assert_close("logits", &logits));
        let text = *failure
            .expect_err("must fail")
            .downcast::<String>()
            .expect("a message");
        assert!(
            text.contains("`logits`") && text.contains("index 5") && text.contains(&case.name),
            "{text}"
        );
    }

    #[test]
    #[should_panic(expected = "none-such/case.json: ")]
    fn a_missing_case_names_its_file() {
        Case::golden("none-such");
    }
}
