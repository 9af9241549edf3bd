//! A new model folder, which appears whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use ocellus_base::Unfinished;

use crate::error::SessionError;

/// Writes the folder `to`: copies of the files of `from` that hold no weights, and what `fill` puts into the folder that it is
/// given. With what `fill` gave, the names of links that are not followed.
pub(crate) fn written<T>(
    from: &Path,
    to: &Path,
    fill: impl FnOnce(&Path) -> Result<T, SessionError>,
) -> Result<(T, Vec<String>), SessionError> {
    let io = |error| SessionError::io("create", to, error);
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(io)?;
    }
    let beside = Unfinished::folder(to).map_err(io)?;
    let left_out = copy_others(from, beside.path())?;
    let filled = fill(beside.path())?;
    beside.finish().map_err(io)?;
    Ok((filled, left_out))
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

/// Whether a file is one of weights, or says what others of weights hold.
fn holds_weights(path: &Path) -> bool {
    const ENDINGS: [&str; 9] = [
        ".safetensors",
        ".safetensors.index.json",
        ".bin",
        ".bin.index.json",
        ".pt",
        ".pth",
        ".ckpt",
        ".gguf",
        // An adapter is part of the new weights.
        "adapter_config.json",
    ];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
