//! A case as it lies in its folder: `case.json`, inputs, expected tensors with their tolerances.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ocellus_weights::Weights;
use serde_json::Value;

use crate::array::{Array, Values};
use crate::error::CaseError;
use ocellus_session::Quant;

/// One expected tensor.
pub struct Stage {
    pub name: String,
    pub expected: Array,
    pub atol: f64,
    pub rtol: f64,
}

/// A case, read but not run.
pub struct Case {
    pub folder: PathBuf,
    pub family: String,
    pub task: String,
    pub options: Value,
    /// What its weights are rounded to; a case expects f32.
    pub width: Quant,
    /// Whether a checkpoint that would load with warnings is an error.
    pub strict: bool,
    /// What its checkpoint warned of otherwise, each once.
    pub warnings: RefCell<BTreeSet<String>>,
    /// From early to late; tensors of the file that `stages` forgets come last.
    pub stages: Vec<Stage>,
    inputs: Option<Weights>,
}

impl Case {
    pub fn read(folder: &Path, width: Quant) -> Result<Self, CaseError> {
        let path = folder.join("case.json");
        let json: Value = serde_json::from_str(&read_text(&path)?).map_err(|e| CaseError::file(&path, e))?;
        let inputs = folder.join("inputs.safetensors");
        Ok(Self {
            folder: folder.to_owned(),
            family: text(&json, "family")?.to_owned(),
            task: text(&json, "task")?.to_owned(),
            stages: stages(&json, &Weights::from_file(folder.join("expected.safetensors"))?)?,
            width,
            strict: true,
            warnings: RefCell::default(),
            options: json.get("options").cloned().unwrap_or_default(),
            inputs: inputs.exists().then(|| Weights::from_file(&inputs)).transpose()?,
        })
    }

    /// The same case, which takes a checkpoint that loads with warnings or does not.
    pub fn strictly(self, strict: bool) -> Self {
        Self { strict, ..self }
    }

    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|s| s.name == name)
    }

    /// The folder of the checkpoint.
    pub fn model(&self) -> PathBuf {
        self.folder.join("model")
    }

    /// A path that `case.json` gives: relative to the folder of the set.
    pub fn in_set(&self, path: &str) -> PathBuf {
        self.folder.join("..").join(path)
    }

    pub fn has_input(&self, name: &str) -> bool {
        self.inputs.as_ref().is_some_and(|i| i.contains(name))
    }

    /// Every input there is.
    pub fn input_names(&self) -> Vec<String> {
        let inputs = self.inputs.iter();
        inputs.flat_map(|i| i.names().map(str::to_owned)).collect()
    }

    pub fn input(&self, name: &str) -> Result<Array, CaseError> {
        match &self.inputs {
            Some(inputs) if inputs.contains(name) => Array::from_view(&inputs.view(name)?),
            _ => Err(self.wrong_input(name, "a tensor", "none")),
        }
    }

    /// An integer input of `rank` axes.
    pub fn integers(&self, name: &str, rank: usize) -> Result<(Vec<usize>, Vec<i64>), CaseError> {
        match self.input(name)? {
            Array {
                shape,
                values: Values::Integer(v),
            } if shape.len() == rank => Ok((shape, v)),
            Array { shape, .. } => {
                Err(self.wrong_input(name, format!("integers on {rank} axes"), format!("{shape:?}")))
            }
        }
    }

    /// A floating-point input of `rank` axes.
    pub fn floats(&self, name: &str, rank: usize) -> Result<(Vec<usize>, Vec<f32>), CaseError> {
        match self.input(name)? {
            Array {
                shape,
                values: Values::Float(v),
            } if shape.len() == rank => Ok((shape, v)),
            Array { shape, .. } => {
                Err(self.wrong_input(name, format!("floats on {rank} axes"), format!("{shape:?}")))
            }
        }
    }

    pub fn wrong_input(&self, name: &str, expected: impl ToString, found: impl ToString) -> CaseError {
        CaseError::Input {
            name: name.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    /// An option that must be there.
    pub fn option(&self, name: &str, expected: &'static str) -> Result<&Value, CaseError> {
        self.options
            .get(name)
            .ok_or_else(|| self.wrong_option(name, expected))
    }

    pub fn wrong_option(&self, name: &str, expected: &'static str) -> CaseError {
        field(&format!("options.{name}"), expected, self.options.get(name))
    }

    /// An option that is a number; `None` when it is absent or null.
    pub fn count(&self, name: &str) -> Result<Option<usize>, CaseError> {
        match self.options.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let count = value.as_u64().and_then(|v| usize::try_from(v).ok());
                count.map(Some).ok_or_else(|| self.wrong_option(name, "a count"))
            }
        }
    }

    /// An option that is a list of texts; empty when it is absent.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>, CaseError> {
        let wrong = || self.wrong_option(name, "a list of texts");
        let Some(value) = self.options.get(name).filter(|v| !v.is_null()) else {
            return Ok(Vec::new());
        };
        value
            .as_array()
            .ok_or_else(wrong)?
            .iter()
            .map(|v| v.as_str().ok_or_else(wrong))
            .collect()
    }

    /// An option that is one token id or a list of them; empty when it is absent or null.
    pub fn ids(&self, name: &str) -> Result<Vec<u32>, CaseError> {
        let wrong = || self.wrong_option(name, "token ids");
        let id = |v: &Value| v.as_u64().and_then(|v| u32::try_from(v).ok()).ok_or_else(wrong);
        match self.options.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(ids)) => ids.iter().map(id).collect(),
            Some(value) => Ok(vec![id(value)?]),
        }
    }
}

fn stages(json: &Value, file: &Weights) -> Result<Vec<Stage>, CaseError> {
    let listed = json.get("stages").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| field("stages", "a list of names", json.get("stages")))?;
    let mut names = Vec::with_capacity(listed.len());
    for name in listed {
        names.push(
            name.as_str()
                .ok_or_else(|| field("stages", "names", Some(name)))?,
        );
    }
    let forgotten: Vec<&str> = file.names().filter(|n| !names.contains(n)).collect();
    names.extend(forgotten);
    let stage = |name: &str| {
        let about = json.get("expected").and_then(|e| e.get(name));
        let tolerance = |key: &str| {
            let value = about.and_then(|a| a.get(key));
            let number = value
                .and_then(Value::as_f64)
                .filter(|v| v.is_finite() && *v >= 0.0);
            number.ok_or_else(|| field(&format!("expected.{name}.{key}"), "a tolerance", value))
        };
        Ok(Stage {
            name: name.to_owned(),
            expected: Array::from_view(&file.view(name)?)?,
            atol: tolerance("atol")?,
            rtol: tolerance("rtol")?,
        })
    };
    names.into_iter().map(stage).collect()
}

fn text<'v>(json: &'v Value, name: &str) -> Result<&'v str, CaseError> {
    json.get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| field(name, "a text", json.get(name)))
}

fn field(name: &str, expected: &'static str, found: Option<&Value>) -> CaseError {
    let found = found.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let found = if found.chars().count() > 60 {
        found.chars().take(60).chain(['…']).collect()
    } else {
        found
    };
    CaseError::Field {
        field: name.to_owned(),
        expected,
        found,
    }
}

/// A JSON or other text file within the bound for such files.
pub fn read_text(path: &Path) -> Result<String, CaseError> {
    let io = |e: std::io::Error| CaseError::file(path, e);
    ocellus_base::files::read_text(path, ocellus_base::limits::JSON_BYTES).map_err(io)
}
