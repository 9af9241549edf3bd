//! `ocellus models quantize`: a model's folder anew, with weights packed as kernels read them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use ocellus_hub::Location;
use ocellus_nn::stored::{self, Kept};
use ocellus_nn::{Frozen, Matrix};
use ocellus_session::{Compute, TextFiles};
use ocellus_weights::{Dtype, TensorRef, Weights, write_refs};

use super::calibrate::Calibration;
use crate::args::Quantize;
use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::values::Quant;

/// Writes `args.output`. It appears whole or not at all.
pub fn run(context: &Context, args: &Quantize) -> Result<(), Failure> {
    let width = match context.global.quant {
        Some(width @ (Quant::Q8 | Quant::Q6 | Quant::Q4)) => width,
        None => Quant::Q4,
        Some(_) => {
            return Err(Failure::usage("a model is quantised to q8, q6 or q4")
                .hint("`--quant q8` keeps most, `--quant q4` (the default) is smallest"));
        }
    };
    if width == Quant::Q8 && !args.calibration.is_empty() {
        return Err(
            Failure::usage("weights of 8 bits are rounded the same with and without calibration")
                .hint("leave out --calibration, or use it with `--quant q6` or `--quant q4`"),
        );
    }
    if args.output.exists() {
        return Err(
            Failure::usage(format!("{} is there already", args.output.display()))
                .hint("name a folder that is not there yet"),
        );
    }
    let checkpoint = context.checkpoint(Some(&args.model))?;
    let Location::Folder(folder) = &checkpoint.location else {
        return Err(
            Failure::new(format!("{} is not a folder of safetensors", checkpoint.name))
                .hint("quantise the checkpoint that it was made from"),
        );
    };
    let weights = Arc::new(Weights::open(folder)?);
    if weights
        .metadata()
        .keys()
        .any(|key| key.starts_with(stored::LAYOUT))
    {
        return Err(Failure::new(format!("{} is quantised already", checkpoint.name))
            .hint("quantise the checkpoint that it was made from; rounding twice loses more"));
    }
    let config = TextFiles::Folder(folder.clone()).config()?;
    let Calibration { importance, rows } = match args.calibration[..] {
        [] => Calibration::default(),
        _ => Calibration::gather(context, &checkpoint, width, &args.calibration)?,
    };
    let source = Rc::new(Compute::on_cpu(width).source(weights.clone()).keeping(importance));
    Compute::on_cpu(width)
        .assemble(&config, &source)
        .map_err(|e| Failure::from(e).about(&checkpoint.name))?;
    let before = weights.total_bytes();
    let after = write((folder, &args.output), &weights, &source, rows)?;
    let on = match rows {
        0 => String::new(),
        rows => format!(", calibrated on {rows} rows"),
    };
    output::note(&format!(
        "{}: {} of weights, {} before{on}",
        args.output.display(),
        output::size(after),
        output::size(before)
    ));
    Ok(())
}

/// The new folder beside its final name, then renamed.
fn write((from, to): (&Path, &Path), weights: &Weights, source: &Frozen, rows: u64) -> Result<u64, Failure> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let beside = to.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    fs::create_dir_all(&beside).map_err(|e| Failure::io("create", &beside, &e))?;
    let written = fill((from, &beside), weights, &source.kept(), rows).and_then(|bytes| {
        fs::rename(&beside, to).map_err(|e| Failure::io("create", to, &e))?;
        Ok(bytes)
    });
    if written.is_err() {
        // Best effort: the first error is the one to report.
        let _ = fs::remove_dir_all(&beside);
    }
    written
}

/// Weights are said to be calibrated on `rows`, unless that is none.
fn fill((from, to): (&Path, &Path), weights: &Weights, kept: &[Kept], rows: u64) -> Result<u64, Failure> {
    for item in fs::read_dir(from).map_err(|e| Failure::io("read", from, &e))? {
        let path = item.map_err(|e| Failure::io("read", from, &e))?.path();
        if path.is_file() && !holds_weights(&path) {
            let target = to.join(path.file_name().unwrap_or_default());
            fs::copy(&path, &target).map_err(|e| Failure::io("write", &target, &e))?;
        }
    }
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
        // Integers that were packed anew are not kept beside it.
        .filter(|name| !stored::replaced(name).is_some_and(|matrix| packed.contains_key(matrix.as_str())))
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
