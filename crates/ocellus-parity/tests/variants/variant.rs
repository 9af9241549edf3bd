//! A row of the table.

use std::path::PathBuf;
use std::rc::Rc;

use crate::checkpoint::Checkpoint;

/// A change to a golden checkpoint, and what becomes of it.
#[derive(Clone)]
pub struct Variant {
    /// The part of the table that it stands in.
    pub part: &'static str,
    /// What is different, for readers.
    pub name: String,
    /// The golden case.
    pub base: &'static str,
    /// The folder with what the reference computes, where that is not what it computes for the golden.
    pub expected: Option<PathBuf>,
    pub edit: Rc<dyn Fn(&mut Checkpoint)>,
    pub treatment: Treatment,
}

/// What becomes of a variant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Treatment {
    /// It loads without a word and computes what the golden computes.
    Equal,
    /// The same, with a warning that contains this.
    Warns(&'static str),
    /// It does not load, with a sentence that contains this.
    Refused(&'static str),
}

/// The same change to several goldens.
pub fn each(
    part: &'static str,
    name: impl ToString,
    bases: &[&'static str],
    treatment: Treatment,
    edit: impl Fn(&mut Checkpoint) + 'static,
) -> Vec<Variant> {
    let edit: Rc<dyn Fn(&mut Checkpoint)> = Rc::new(edit);
    let one = |base: &&'static str| Variant {
        part,
        name: name.to_string(),
        base,
        expected: None,
        edit: edit.clone(),
        treatment: treatment.clone(),
    };
    bases.iter().map(one).collect()
}
