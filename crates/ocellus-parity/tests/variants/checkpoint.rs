//! A golden checkpoint that is changed as publishers, trainers and converters leave theirs, and written again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ocellus_testkit::case::goldens_dir;
use ocellus_weights::{Dtype, TensorBytes, Weights, encode};
use serde_json::{Map, Value, json};

/// Type, shape and bytes.
pub type Tensor = (Dtype, Vec<usize>, Vec<u8>);

pub struct Checkpoint {
    pub config: Value,
    config_file: String,
    pub tensors: BTreeMap<String, Tensor>,
    /// The other files, by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// How many files the tensors are written to, and whether an index lists them.
    pub shards: (usize, bool),
}

/// Files that a config stands in.
const CONFIGS: [&str; 3] = ["config.json", "params.json", "open_clip_config.json"];

impl Checkpoint {
    pub fn read(case: &str) -> Self {
        let dir = goldens_dir().join(case).join("model");
        let weights = Weights::open(&dir).expect("the golden's weights open");
        let tensors = weights.names().map(|name| {
            let view = weights.view(name).expect("it is there");
            (
                name.to_owned(),
                (view.dtype, view.shape.clone(), view.bytes.to_vec()),
            )
        });
        let (mut config, mut config_file, mut files) = (Value::Null, String::new(), BTreeMap::new());
        for file in fs::read_dir(&dir)
            .expect("a folder")
            .map(|file| file.expect("a file").path())
        {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let bytes = fs::read(&file).expect("it can be read");
            if CONFIGS.contains(&name.as_str()) {
                config = serde_json::from_slice(&bytes).expect("JSON");
                config_file = name;
            } else if !name.ends_with(".safetensors") {
                files.insert(name, bytes);
            }
        }
        Self {
            config,
            config_file,
            tensors: tensors.collect(),
            files,
            shards: (1, false),
        }
    }

    /// Writes everything into the folder `to`, which is there.
    pub fn write(&self, to: &Path) {
        fs::write(to.join(&self.config_file), self.config.to_string()).unwrap();
        for (name, bytes) in &self.files {
            fs::write(to.join(name), bytes).unwrap();
        }
        let (count, index) = self.shards;
        let (mut shards, mut listed) = (vec![Vec::new(); count], Map::new());
        let file = |at: usize| match count {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", at + 1),
        };
        for (at, (name, (dtype, shape, bytes))) in self.tensors.iter().enumerate() {
            let tensor: TensorBytes = (name.clone(), *dtype, shape.clone(), bytes.clone());
            shards[at % count].push(tensor);
            listed.insert(name.clone(), file(at % count).into());
        }
        for (at, tensors) in shards.iter().enumerate() {
            fs::write(to.join(file(at)), encode(tensors, &BTreeMap::new()).unwrap()).unwrap();
        }
        if index {
            let index = json!({ "metadata": {}, "weight_map": listed });
            fs::write(to.join("model.safetensors.index.json"), index.to_string()).unwrap();
        }
    }

    /// The value at a dotted path, made where it is not there.
    pub fn at(&mut self, path: &str) -> &mut Value {
        let parts = path.split('.').filter(|part| !part.is_empty());
        parts.fold(&mut self.config, |at, part| {
            let object = at.as_object_mut().expect("an object on the way");
            object.entry(part).or_insert_with(|| json!({}))
        })
    }

    pub fn set(&mut self, path: &str, value: Value) {
        *self.at(path) = value;
    }

    /// Removes fields of the object at `path`.
    pub fn remove(&mut self, path: &str, fields: &[&str]) {
        let object = self.at(path).as_object_mut().expect("an object");
        object.retain(|key, _| !fields.contains(&key.as_str()));
    }

    /// Moves fields of one object into another.
    pub fn nest(&mut self, from: &str, to: &str, fields: &[&str]) {
        for field in fields {
            let object = self.at(from).as_object_mut().expect("an object");
            if let Some(value) = object.remove(*field) {
                self.at(to)
                    .as_object_mut()
                    .expect("an object")
                    .insert((*field).to_owned(), value);
            }
        }
    }

    pub fn rename(&mut self, name: impl Fn(&str) -> String) {
        let tensors = std::mem::take(&mut self.tensors);
        self.tensors = tensors
            .into_iter()
            .map(|(own, tensor)| (name(&own), tensor))
            .collect();
    }

    /// A tensor of floats that are not all equal.
    pub fn add(&mut self, name: &str, shape: &[usize]) {
        let count: usize = shape.iter().product();
        let bytes = (0..count)
            .flat_map(|i| (0.01 * i as f32 + 0.5).to_le_bytes())
            .collect();
        self.tensors
            .insert(name.to_owned(), (Dtype::F32, shape.to_vec(), bytes));
    }

    /// Kernels over pixels as some converters store them: channels last.
    pub fn channels_last(&mut self) {
        for (_, shape, bytes) in self.tensors.values_mut() {
            let kernel = matches!(shape[..], [_, 1..=4, .., h, w] if shape.len() >= 4 && h == w && h > 4);
            if kernel {
                let size = bytes.len() / shape.iter().product::<usize>();
                let (channels, places) = (shape[1], shape[2..].iter().product::<usize>());
                let order = (0..shape[0]).flat_map(|o| {
                    (0..places)
                        .flat_map(move |at| (0..channels).map(move |c| (o * channels + c) * places + at))
                });
                *bytes = order.flat_map(|at| bytes[at * size..][..size].to_vec()).collect();
                shape[1..].rotate_left(1);
            }
        }
    }
}
