//! Where the results of many inputs go: one document, or a file for each input in a folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::pages::Input;
use crate::destination::Destination;
use crate::error::Failure;

/// Where documents go, or pictures with boxes.
pub enum Places {
    One(Destination),
    /// For every input its path without an ending.
    Each(Vec<PathBuf>),
}

/// Whether a path is meant as a folder: it is one, or ends as one.
pub fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

impl Places {
    /// One place, or one for each input in a folder; inputs that cannot be found have none.
    ///
    /// # Errors
    /// A place that cannot be written, or that is one of the inputs.
    pub fn new(path: &Path, inputs: &[Result<Input, Failure>]) -> Result<Self, Failure> {
        if !is_folder(path) {
            let place = Destination::of(path)?;
            apart(&place, path, inputs)?;
            return Ok(Self::One(place));
        }
        std::fs::create_dir_all(path).map_err(|e| Failure::io("make the folder", path, &e))?;
        let stem = |input: &Input| input.below.with_extension("");
        let mut uses: HashMap<PathBuf, usize> = HashMap::new();
        for input in inputs.iter().flatten() {
            *uses.entry(stem(input)).or_default() += 1;
        }
        let mut taken = HashMap::new();
        let mut places = Vec::with_capacity(inputs.len());
        for input in inputs {
            let Ok(input) = input else {
                places.push(PathBuf::new());
                continue;
            };
            // Inputs that differ in their ending only keep it.
            let below = match uses[&stem(input)] {
                1 => stem(input),
                _ => input.below.clone(),
            };
            if let Some(before) = taken.insert(below.clone(), &input.path) {
                return Err(Failure::usage(format!(
                    "{} and {} would both be written to {}",
                    before.display(),
                    input.path.display(),
                    path.join(&below).display()
                ))
                .hint("read them one after another into different folders"));
            }
            places.push(path.join(below));
        }
        Ok(Self::Each(places))
    }

    /// The file of an input in a folder.
    pub fn of(&self, input: usize, ending: &str) -> Option<PathBuf> {
        let Self::Each(places) = self else { return None };
        let mut name = places.get(input)?.clone().into_os_string();
        name.push(format!(".{ending}"));
        Some(name.into())
    }
}

/// Fails where an output is one of the inputs.
///
/// # Errors
/// Wrong usage.
pub fn apart(place: &Destination, path: &Path, inputs: &[Result<Input, Failure>]) -> Result<(), Failure> {
    let mut inputs = inputs.iter().flatten();
    match inputs.find(|input| place.is_same_file(&input.path)) {
        Some(input) => Err(Failure::usage(format!(
            "{} is read and would be replaced by {}",
            input.path.display(),
            path.display()
        ))
        .hint("write to another file")),
        None => Ok(()),
    }
}
