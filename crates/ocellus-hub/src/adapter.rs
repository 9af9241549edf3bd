//! Adapters: folders whose tensors change another checkpoint, which they name.

use std::path::{Path, PathBuf};

use ocellus_base::limits::JSON_BYTES;
use serde::Deserialize;

use crate::selection::{self, ADAPTER, ADAPTER_WEIGHTS};
use crate::{HubError, Reference, gguf};

/// What a folder holds beside an adapter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adapter {
    /// No model: its base is elsewhere.
    Alone,
    /// Its base.
    Beside,
}

/// The folder itself, if there is an adapter in it beside its base.
pub fn beside(folder: &Path) -> Option<PathBuf> {
    (in_folder(folder) == Some(Adapter::Beside)).then(|| folder.to_owned())
}

/// The file with an adapter's tensors.
///
/// # Errors
/// [`HubError::NotACheckpoint`] where there is none.
pub fn weights(folder: &Path) -> Result<PathBuf, HubError> {
    let mut paths = ADAPTER_WEIGHTS.iter().map(|name| folder.join(name));
    paths
        .find(|path| path.is_file())
        .ok_or_else(|| HubError::NotACheckpoint {
            path: folder.into(),
            expected: "adapter_model.safetensors (or .bin) beside its adapter_config.json",
        })
}

pub(crate) fn in_folder(folder: &Path) -> Option<Adapter> {
    if !folder.join(ADAPTER).is_file() {
        return None;
    }
    let names = names(folder);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let model =
        !selection::weights(&names).is_empty() || names.iter().any(|name| gguf::is_gguf(Path::new(name)));
    Some(if model { Adapter::Beside } else { Adapter::Alone })
}

/// Folders of adapters in a folder: of several that were trained together, all but the first.
pub fn below(folder: &Path) -> Vec<String> {
    let mut found = names(folder);
    // A trainer's own states are no adapters to choose from.
    found.retain(|name| folder.join(name).join(ADAPTER).is_file() && !name.starts_with("checkpoint-"));
    found.sort();
    found
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

#[derive(Deserialize)]
struct Named {
    base_model_name_or_path: Option<String>,
    revision: Option<String>,
}

/// The base that an adapter names: a folder, also one beside that of the adapter, or a repository.
///
/// # Errors
/// An adapter that names none, or none that can be looked for here.
pub(crate) fn base(folder: &Path) -> Result<Reference, HubError> {
    let path = folder.join(ADAPTER);
    let bytes = ocellus_base::files::read(&path, JSON_BYTES).map_err(HubError::io("read", &path))?;
    let named: Named = serde_json::from_slice(&bytes).map_err(|error| HubError::AdapterConfig {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    let unknown = |base: &str, reason: String| HubError::NoBase {
        adapter: folder.into(),
        base: base.to_owned(),
        reason,
    };
    let Some(base) = named.base_model_name_or_path.filter(|base| !base.is_empty()) else {
        return Err(unknown("", "its adapter_config.json names none".into()));
    };
    if Path::new(&base).is_dir() {
        return Ok(Reference::Folder(base.into()));
    }
    let near = folder.join(&base);
    if Path::new(&base).is_relative() && near.is_dir() {
        return Ok(Reference::Folder(near));
    }
    if Path::new(&base).is_absolute() || base.starts_with('.') {
        return Err(unknown(
            &base,
            format!("there is no folder `{base}` on this machine"),
        ));
    }
    let whole = match named.revision {
        Some(revision) if !base.contains('@') => format!("{base}@{revision}"),
        _ => base.clone(),
    };
    Reference::parse(&whole).map_err(|error| unknown(&base, error.to_string()))
}
