//! Writes a quantised copy of a checkpoint's folder, with weights packed for the kernels.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ocellus_base::Unfinished;
use ocellus_hub::{Checkpoint, Location};
use ocellus_models::{ConfigFile, families};
use ocellus_nn::stored::{self, Kept};
use ocellus_nn::{Frozen, Matrix};
use ocellus_processor::TextFiles;
use ocellus_weights::{Dtype, TensorRef, Weights, write_refs};
use std::sync::Arc;

use crate::calibrate::Calibration;
use crate::checkpoint;
use crate::compute::Compute;
use crate::error::SessionError;
use crate::widths::Quant;

/// Bytes of all weights, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantised {
    pub before_bytes: u64,
    pub after_bytes: u64,
    /// Names of links out of the folder that were not copied.
    pub left_out: Vec<String>,
}

/// A checkpoint that can be quantised.
pub struct Unquantised<'c> {
    name: &'c str,
    folder: &'c Path,
    weights: Arc<Weights>,
    config: ConfigFile,
}

impl<'c> Unquantised<'c> {
    /// Opens the checkpoint.
    ///
    /// # Errors
    /// Anything but a folder of safetensors that are not yet quantised.
    pub fn open(checkpoint: &'c Checkpoint) -> Result<Self, SessionError> {
        let name = &checkpoint.name;
        let Location::Folder(folder) = &checkpoint.location else {
            return Err(SessionError::NotAFolder { name: name.clone() });
        };
        let weights = Arc::new(checkpoint::weights(folder)?);
        let quantised = |key: &String| key.starts_with(stored::LAYOUT);
        if weights.metadata().keys().any(quantised) {
            return Err(SessionError::QuantisedBefore { name: name.clone() });
        }
        Ok(Self {
            name,
            folder,
            weights,
            config: families::parse(&TextFiles::Folder(folder.clone()).config()?)?,
        })
    }

    /// Writes the folder `to`, with weights rounded to `width`. The folder appears atomically.
    ///
    /// # Errors
    /// Weights that do not belong to the config; a folder that cannot be written.
    pub fn write(
        &self,
        to: &Path,
        width: Quant,
        calibration: Calibration,
    ) -> Result<Quantised, SessionError> {
        let compute = Compute::on_cpu(width);
        let source = compute.source(self.weights.clone());
        let source = Rc::new(source.keeping(calibration.importance));
        compute
            .assemble(&self.config, &source)
            .map_err(|error| SessionError::from(error).about(self.name))?;
        let (after_bytes, left_out) = write((self.folder, to), &self.weights, &source, calibration.rows)?;
        Ok(Quantised {
            before_bytes: self.weights.total_bytes(),
            after_bytes,
            left_out,
        })
    }
}

/// The new folder beside its final name, then renamed.
fn write(
    (from, to): (&Path, &Path),
    weights: &Weights,
    source: &Frozen,
    rows: u64,
) -> Result<(u64, Vec<String>), SessionError> {
    let io = |error| SessionError::io("create", to, error);
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(io)?;
    }
    let beside = Unfinished::folder(to).map_err(io)?;
    let left_out = copy_others(from, beside.path())?;
    let filled = fill(beside.path(), weights, &source.kept(), rows);
    // The reason of an error, or of wrong bytes.
    weights.intact()?;
    let bytes = filled?;
    beside.finish().map_err(io)?;
    Ok((bytes, left_out))
}

/// Copies the files beside the weights; the names of links that are not followed.
///
/// Who links a file into a model's folder may mean it to be part of the model, or may want it to be copied and published. So links are
/// followed inside the folder, to what a hub's cache keeps for it, and where the program itself reads a file of this name.
fn copy_others(from: &Path, to: &Path) -> Result<Vec<String>, SessionError> {
    let io = |error| SessionError::io("read", from, error);
    let whole = from.canonicalize().map_err(io)?;
    let blobs = whole.ancestors().nth(2).map(|root| root.join("blobs"));
    let mut left_out = Vec::new();
    for item in fs::read_dir(from).map_err(io)? {
        let path = item.map_err(io)?.path();
        if !path.is_file() || holds_weights(&path) {
            continue;
        }
        let name = path.file_name().unwrap_or_default();
        let target = path
            .canonicalize()
            .map_err(|e| SessionError::io("read", &path, e))?;
        let within = |folder: &PathBuf| target.starts_with(folder);
        let is_read = name.to_str().is_some_and(ocellus_hub::is_read);
        if !is_read && !within(&whole) && !blobs.as_ref().is_some_and(within) {
            left_out.push(name.to_string_lossy().into_owned());
            continue;
        }
        let copy = to.join(name);
        fs::copy(&path, &copy).map_err(|e| SessionError::io("write", &copy, e))?;
    }
    left_out.sort();
    Ok(left_out)
}

/// Writes the weights; they are said to be calibrated on `rows`, unless that is none.
fn fill(to: &Path, weights: &Weights, kept: &[Kept], rows: u64) -> Result<u64, SessionError> {
    let packed: BTreeMap<&str, _> = kept
        .iter()
        .filter_map(|(name, matrix)| match &**matrix {
            Matrix::Quantized(packed) => Some((name.as_str(), packed)),
            Matrix::Dense(_) => None,
        })
        .collect();
    let mut metadata = weights.metadata().clone();
    metadata.insert("format".into(), "pt".into());
    metadata.insert(stored::LAYOUT.into(), env!("CARGO_PKG_VERSION").into());
    if rows > 0 {
        metadata.insert(stored::CALIBRATED.into(), rows.to_string());
    }
    for (name, packed) in &packed {
        metadata.insert(stored::key(name), stored::describe(packed));
    }
    let names: BTreeSet<&str> = weights.names().chain(packed.keys().copied()).collect();
    let views = names
        .iter()
        .filter(|name| !packed.contains_key(*name))
        .map(|name| weights.view(name))
        .collect::<Result<Vec<_>, _>>()?;
    let shapes: BTreeMap<&str, [usize; 1]> = packed
        .iter()
        .map(|(name, p)| (*name, [p.bytes().len()]))
        .collect();
    let mut tensors: Vec<TensorRef> = views
        .iter()
        .map(|view| TensorRef {
            name: view.name,
            dtype: view.dtype,
            shape: &view.shape,
            bytes: &view.bytes,
        })
        .collect();
    tensors.extend(packed.iter().map(|(name, packed)| TensorRef {
        name,
        dtype: Dtype::U8,
        shape: &shapes[name],
        bytes: packed.bytes(),
    }));
    let mut total = 0;
    write_refs(&to.join("model.safetensors"), &tensors, &metadata, &mut |bytes| {
        total += bytes
    })?;
    Ok(total)
}

fn holds_weights(path: &Path) -> bool {
    const ENDINGS: [&str; 8] = [
        ".safetensors",
        ".safetensors.index.json",
        ".bin",
        ".bin.index.json",
        ".pt",
        ".pth",
        ".ckpt",
        ".gguf",
    ];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
