//! Where the results of many inputs go: one document, or a file for each input in a folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::destination::Destination;
use crate::error::Failure;
use crate::inputs;

/// An input as it was named, or found in a folder that was named.
pub struct Input {
    pub path: PathBuf,
    /// Its path below the folder that was named, else its file name.
    pub below: PathBuf,
}

/// The inputs of all arguments in their order; folders give their pictures.
pub fn each_input(arguments: &[PathBuf]) -> Vec<Result<Input, Failure>> {
    let mut all = Vec::new();
    for argument in arguments {
        match inputs::expand(argument) {
            Ok(paths) => all.extend(paths.into_iter().map(|path| {
                let below = match path.strip_prefix(argument) {
                    Ok(below) if !below.as_os_str().is_empty() => below.to_owned(),
                    _ => path.file_name().map_or_else(|| "page".into(), PathBuf::from),
                };
                Ok(Input { path, below })
            })),
            Err(failure) => all.push(Err(failure)),
        }
    }
    all
}

/// Where documents go, or pictures with boxes.
pub enum Places {
    One(Destination),
    /// For every input its path without an ending.
    Each(Vec<PathBuf>),
}

/// Whether a path is meant as a folder: it is one, or ends as one.
fn is_folder(path: &Path) -> bool {
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
        // The folder itself is made with the first result.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if !path.is_dir()
            && let Some(folder) = folder
            && !folder.is_dir()
        {
            return Err(Failure::new(format!(
                "{}: cannot write: the folder {} does not exist",
                path.display(),
                folder.display()
            ))
            .hint("make the folder first, as in: mkdir -p FOLDER"));
        }
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

    /// Where something of an input goes; folders are made.
    ///
    /// # Errors
    /// A place that cannot be written.
    pub fn file(&self, input: usize, ending: &str) -> Result<Destination, Failure> {
        if let Self::One(place) = self {
            return Ok(place.clone());
        }
        let path = self.of(input, ending).unwrap_or_default();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Failure::io("make the folder", folder, &e))?;
        }
        Destination::of(&path)
    }

    fn of(&self, input: usize, ending: &str) -> Option<PathBuf> {
        let Self::Each(places) = self else { return None };
        let mut name = places.get(input)?.clone().into_os_string();
        name.push(format!(".{ending}"));
        Some(name.into())
    }
}

/// Fails where an output is one of the inputs.
fn apart(place: &Destination, path: &Path, inputs: &[Result<Input, Failure>]) -> Result<(), Failure> {
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
