//! Writes a checkpoint's folder with its adapter merged into the weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ocellus_hub::{Checkpoint, Location};
use ocellus_weights::{Dtype, TensorBytes, Weights, f32_bytes, write};
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::adapter::Adapter;
use crate::checkpoint;
use crate::error::SessionError;
use crate::new_folder;

/// Bytes of weights that one file holds at most; as many are in memory at once.
const SHARD_BYTES: u64 = 4 << 30;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    pub adapter: Adapter,
    pub bytes: u64,
    pub files: usize,
    /// Names of links to files that are none of the model's, and were not copied.
    pub left_out: Vec<String>,
}

/// Writes the folder `to`: the checkpoint with its adapter merged. A matrix of the base and the product of its adapter are added in
/// f32 and rounded once to the type of the base. The folder appears atomically.
///
/// # Errors
/// A checkpoint without an adapter, a base that is not a folder or is quantised, a folder that cannot be written.
pub fn merge(checkpoint: &Checkpoint, to: &Path) -> Result<Merged, SessionError> {
    let name = &checkpoint.name;
    let Location::Folder(folder) = &checkpoint.location else {
        return Err(SessionError::NotAFolder {
            name: name.clone(),
            action: "merged",
        });
    };
    let (weights, adapter) = checkpoint::weights(folder, checkpoint.adapter.as_deref())?;
    let adapter = adapter.ok_or_else(|| SessionError::NoAdapter { name: name.clone() })?;
    let packed = |name: &&str| {
        let own = weights.without_low_rank(name).map(|view| view.dtype);
        !matches!(own, Ok(Dtype::F32 | Dtype::F16 | Dtype::Bf16))
    };
    if let Some(matrix) = weights.matrices().next().or_else(|| weights.added().find(packed)) {
        return Err(SessionError::MergeQuantised {
            name: name.clone(),
            matrix: matrix.to_owned(),
        });
    }
    let ((bytes, files), left_out) = new_folder::written(folder, to, |to| {
        if adapter.untied {
            untie(to)?;
        }
        let filled = fill(to, &weights);
        // The reason of an error, or of wrong bytes.
        weights.intact()?;
        filled
    })?;
    Ok(Merged {
        adapter,
        bytes,
        files,
        left_out,
    })
}

/// The weights in as many files as they need, with an index of several.
fn fill(to: &Path, weights: &Weights) -> Result<(u64, usize), SessionError> {
    let mut shards: Vec<(u64, Vec<&str>)> = vec![(0, Vec::new())];
    let mut total = 0;
    for name in weights.names() {
        let bytes = weights.without_low_rank(name)?.bytes.len() as u64;
        total += bytes;
        match shards.last_mut() {
            Some((held, names)) if *held + bytes <= SHARD_BYTES || names.is_empty() => {
                *held += bytes;
                names.push(name);
            }
            _ => shards.push((bytes, vec![name])),
        }
    }
    let count = shards.len();
    let mut listed = Map::new();
    for (at, (_, names)) in shards.iter().enumerate() {
        let file = match count {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", at + 1),
        };
        let tensors = names.par_iter().map(|name| merged(weights, name));
        let tensors: Vec<TensorBytes> = tensors.collect::<Result<_, SessionError>>()?;
        let format = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        write(&to.join(&file), &tensors, &format)?;
        for name in names {
            weights.release(name);
            listed.insert((*name).to_owned(), file.clone().into());
        }
    }
    if count > 1 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": listed });
        save(&to.join("model.safetensors.index.json"), &index)?;
    }
    Ok((total, count))
}

/// One tensor in the type of the base.
fn merged(weights: &Weights, name: &str) -> Result<TensorBytes, SessionError> {
    let own = weights.without_low_rank(name)?;
    let (dtype, shape) = (own.dtype, own.shape.clone());
    let bytes = match weights.low_rank(name) {
        None => own.bytes.into_owned(),
        Some(_) => f32_bytes(&weights.view(name)?.to_f32()?, dtype)?,
    };
    Ok((name.to_owned(), dtype, shape, bytes))
}

/// Says in a folder's config that its output head is a matrix of its own.
fn untie(folder: &Path) -> Result<(), SessionError> {
    const FIELD: &str = "tie_word_embeddings";
    let path = folder.join("config.json");
    let text = fs::read_to_string(&path).map_err(|e| SessionError::io("read", &path, e))?;
    // The config was read before.
    let Ok(Value::Object(mut config)) = serde_json::from_str::<Value>(&text) else {
        return Ok(());
    };
    if let Some(inner) = config.get_mut("text_config").and_then(Value::as_object_mut)
        && inner.contains_key(FIELD)
    {
        inner.insert(FIELD.to_owned(), false.into());
    }
    config.insert(FIELD.to_owned(), false.into());
    save(&path, &Value::Object(config))
}

fn save(path: &Path, value: &Value) -> Result<(), SessionError> {
    fs::write(path, format!("{value:#}\n")).map_err(|e| SessionError::io("write", path, e))
}
