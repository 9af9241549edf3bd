//! Several files as one model, and tensors put together under other names.

use super::Weights;
use super::placed::Placed;
use crate::header::Entry;
use crate::rebuilt::Made;
use crate::{Assembly, Result, WeightsError};
use std::collections::BTreeMap;
use std::path::Path;

impl Weights {
    /// Maps several files that hold one model. A tensor that two of them hold is an error; of GGUF files, the first one's metadata
    /// count.
    pub fn from_files(paths: &[impl AsRef<Path>]) -> Result<Weights> {
        let mut names = paths.iter().map(|path| path.as_ref().display().to_string());
        let mut weights = Weights::empty(&names.next().unwrap_or_default());
        for path in paths {
            weights = weights.joined(Weights::from_file(path)?)?;
        }
        Ok(weights)
    }

    /// These tensors and those of `other`, which may not share a name; name and metadata are those of the first.
    pub fn joined(mut self, other: Weights) -> Result<Weights> {
        if let Some(tensor) = other.names().find(|name| self.contains(name)) {
            return Err(WeightsError::Duplicate {
                file: other.name.clone(),
                tensor: tensor.to_string(),
            });
        }
        let before = self.files.len();
        let moved = |mut placed: Placed| {
            placed.file += before;
            placed
        };
        self.files.extend(other.files);
        self.tensors.extend(
            other
                .tensors
                .into_iter()
                .map(|(name, placed)| (name, moved(placed))),
        );
        let made = other.made.into_iter();
        self.made
            .extend(made.map(|(name, (made, parts))| (name, (made, parts.into_iter().map(moved).collect()))));
        let matrices = other.matrices.into_iter();
        self.matrices
            .extend(matrices.map(|(name, found)| (name, found.moved(before))));
        for (key, value) in other.metadata {
            self.metadata.entry(key).or_insert(value);
        }
        self.gguf = self.gguf.or(other.gguf);
        Ok(self)
    }

    /// The tensors under other names, some put together from several. Tensors that no assembly uses keep their names.
    pub fn rebuilt(mut self, assemblies: BTreeMap<String, Assembly>) -> Result<Weights> {
        let mut tensors = BTreeMap::new();
        for (name, assembly) in &assemblies {
            let mut parts = Vec::new();
            for part in assembly.parts() {
                let placed = self.tensors.get(part).ok_or_else(|| self.missing(part))?;
                parts.push(placed.clone());
            }
            match (assembly, &parts[..]) {
                (Assembly::As(_), [placed]) => {
                    tensors.insert(name.clone(), placed.clone());
                }
                _ => {
                    let entries: Vec<&Entry> = parts.iter().map(|part| &part.entry).collect();
                    let made = Made::new(&self.name, name, assembly.clone(), &entries)?;
                    self.made.insert(name.clone(), (made, parts));
                }
            }
        }
        for part in assemblies.values().flat_map(Assembly::parts) {
            self.tensors.remove(part);
        }
        for (name, placed) in tensors {
            if self.tensors.insert(name.clone(), placed).is_some() {
                let (file, tensor) = (self.name.clone(), name);
                return Err(WeightsError::Duplicate { file, tensor });
            }
        }
        match self.made.keys().find(|name| self.tensors.contains_key(*name)) {
            None => Ok(self),
            Some(name) => Err(WeightsError::Duplicate {
                file: self.name.clone(),
                tensor: name.clone(),
            }),
        }
    }

    /// The same without the tensors for which `left_out` holds.
    pub fn without(mut self, left_out: impl Fn(&str) -> bool) -> Weights {
        self.tensors.retain(|name, _| !left_out(name));
        self.made.retain(|name, _| !left_out(name));
        self.matrices.retain(|name, _| !left_out(name));
        self
    }
}
