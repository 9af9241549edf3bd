//! Golden checkpoints that tests modify.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_nn::{Frozen, Params, Precision, Trainable};
use ocellus_testkit::Case;
use ocellus_testkit::case::{Values, tensors};
use ocellus_weights::{Dtype, Weights, encode, f32_bytes};
use serde_json::Value;

use super::registry::{CONFIG_FILES, find, parse};
use crate::config::ConfigFile;
use crate::error::ModelError;
use crate::patches::patch_rows;
use crate::reference::{Given, Trace};
use crate::visual_input::VisualInput;

/// A case whose config and tensors may be changed before loading.
pub(super) struct Golden {
    pub case: Case,
    config: ConfigFile,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Golden {
    pub fn open(folder: &str) -> Self {
        let case = Case::golden(folder);
        let dir = case.model_dir();
        let name = CONFIG_FILES.iter().find(|name| dir.join(name).exists()).unwrap();
        let files = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path());
        let file = files
            .into_iter()
            .find(|p| p.extension().is_some_and(|e| e == "safetensors"));
        let floats = tensors(&file.unwrap())
            .into_iter()
            .filter_map(|(name, t)| match t.values {
                Values::F32(values) => Some((name, (t.shape, values))),
                _ => None,
            });
        Self {
            config: parse(&std::fs::read_to_string(dir.join(name)).unwrap()).unwrap(),
            tensors: floats.collect(),
            case,
        }
    }

    /// Sets the field at a dotted path of the config, or removes it for `null`.
    pub fn set(mut self, path: &str, value: Value) -> Self {
        let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
        let mut at = &mut *self.config;
        for parent in parents.split('.').filter(|p| !p.is_empty()) {
            at = &mut at[parent];
        }
        let object = at.as_object_mut().unwrap();
        match value {
            Value::Null => drop(object.remove(key)),
            value => drop(object.insert(key.to_owned(), value)),
        }
        self
    }

    /// Adds a tensor, or replaces it.
    pub fn put(mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Self {
        self.tensors.insert(name.to_owned(), (shape.to_vec(), values));
        self
    }

    pub fn rename(mut self, from: &str, to: &str) -> Self {
        let tensor = self.tensors.remove(from).unwrap();
        self.tensors.insert(to.to_owned(), tensor);
        self
    }

    fn weights(&self) -> Weights {
        let bytes = |(name, (shape, values)): (&String, &(Vec<usize>, Vec<f32>))| {
            let bytes = f32_bytes(values, Dtype::F32).unwrap();
            (name.clone(), Dtype::F32, shape.clone(), bytes)
        };
        let all: Vec<_> = self.tensors.iter().map(bytes).collect();
        Weights::from_bytes(encode(&all, &BTreeMap::new()).unwrap(), "changed").unwrap()
    }

    /// The model, with no tensor left over.
    pub fn load(&self) -> Result<Box<dyn Trace>, ModelError> {
        let source = Rc::new(Frozen::new(Arc::new(self.weights()), Device::Cpu, DType::F32));
        let family = find(&self.config)?;
        let model = (family.trace.unwrap())(&self.config, &Params::new(source.clone(), Precision::F32))?;
        family.finish(&self.config, &source)?;
        Ok(model)
    }

    /// The model with trainable variables as parameters.
    pub fn train(&self) -> (Box<dyn Trace>, Rc<Trainable>) {
        let source = Rc::new(Trainable::from_weights(self.weights(), Device::Cpu));
        let params = Params::new(source.clone(), Precision::F32);
        (
            (find(&self.config).unwrap().trace.unwrap())(&self.config, &params).unwrap(),
            source,
        )
    }

    /// The inputs of the case as the reference's arguments.
    pub fn given(&self) -> Given {
        let mut given = Given::default();
        for (name, t) in &self.case.inputs {
            let (name, shape) = (name.clone(), t.shape.clone());
            match &t.values {
                Values::I64(values) => drop(given.integers.insert(name, (shape, values.clone()))),
                _ => drop(given.floats.insert(name, (shape, t.f32s().to_vec()))),
            }
        }
        given
    }

    /// The first `lengths[i]` tokens of every row of `ids`.
    pub fn texts(&self, ids: &str, lengths: &[usize]) -> Vec<Vec<u32>> {
        let input = self.case.input(ids);
        let rows = input.ids();
        let rows = rows.chunks(input.shape[1]).zip(lengths);
        rows.map(|(row, length)| row[..*length].to_vec()).collect()
    }

    /// The pictures of the input `name` (leading axes are flattened), cropped to `sizes` (height and width, px).
    pub fn visual(&self, name: &str, patch: usize, sizes: Option<&[(usize, usize)]>) -> VisualInput {
        let input = self.case.input(name);
        let [.., c, h, w] = input.shape[..] else {
            panic!("no picture")
        };
        let pixels = Tensor::from_slice(
            input.f32s(),
            (input.f32s().len() / (c * h * w), c, h, w),
            &Device::Cpu,
        );
        let (patches, grids) = patch_rows(&pixels.unwrap(), patch, sizes).unwrap();
        VisualInput::Pictures { patches, grids }
    }
}

/// Slices of texts, as models take them.
pub(super) fn slices(texts: &[Vec<u32>]) -> Vec<&[u32]> {
    texts.iter().map(Vec::as_slice).collect()
}

/// Checks that loading fails with an error that contains a text.
#[track_caller]
pub(super) fn refused<T>(result: Result<T, ModelError>, part: &str) {
    let text = result.err().expect("it is refused").to_string();
    assert!(text.contains(part), "`{text}` does not say `{part}`");
}
