//! Writes a quantised copy of a checkpoint's folder, with weights packed for the kernels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use ocellus_hub::{Checkpoint, Location};
use ocellus_models::{ConfigFile, families};
use ocellus_nn::Matrix;
use ocellus_nn::stored::{self, Kept};
use ocellus_processor::TextFiles;
use ocellus_weights::{Dtype, TensorRef, Weights, write_refs};
use std::sync::Arc;

use crate::calibrate::Calibration;
use crate::checkpoint;
use crate::compute::Compute;
use crate::error::SessionError;
use crate::new_folder;
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
    /// What a user should know of the adapter that it has, in sentences.
    pub warnings: Vec<String>,
}

impl<'c> Unquantised<'c> {
    /// Opens the checkpoint.
    ///
    /// # Errors
    /// Anything but a folder of safetensors that are not yet quantised.
    pub fn open(checkpoint: &'c Checkpoint) -> Result<Self, SessionError> {
        let name = &checkpoint.name;
        let Location::Folder(folder) = &checkpoint.location else {
            return Err(SessionError::NotAFolder {
                name: name.clone(),
                action: "quantised",
            });
        };
        let (weights, adapter) = checkpoint::weights(folder, checkpoint.adapter.as_deref())?;
        let weights = Arc::new(weights);
        let quantised = |key: &String| key.starts_with(stored::LAYOUT);
        if weights.metadata().keys().any(quantised) {
            return Err(SessionError::QuantisedBefore { name: name.clone() });
        }
        Ok(Self {
            name,
            folder,
            weights,
            warnings: adapter.map(|adapter| adapter.warnings).unwrap_or_default(),
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
        let (after_bytes, left_out) = new_folder::written(self.folder, to, |to| {
            let filled = fill(to, &self.weights, &source.kept(), calibration.rows);
            // The reason of an error, or of wrong bytes.
            self.weights.intact()?;
            filled
        })?;
        Ok(Quantised {
            before_bytes: self.weights.total_bytes(),
            after_bytes,
            left_out,
        })
    }
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
