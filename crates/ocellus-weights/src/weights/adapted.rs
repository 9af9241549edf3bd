//! A checkpoint with the changes of a fine-tuner, which are kept in files of their own.

use super::Weights;
use crate::{LowRank, Result, View};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Weights {
    /// These tensors with those of `replacements` in the place of their own of the same name or beside them, and the products of
    /// `added` added to the matrices of their names. Views give the sums in f32; of a matrix whose stored form is kept the product
    /// has to be taken as well, from [`low_rank`](Self::low_rank).
    pub fn adapted(mut self, replacements: Weights, added: BTreeMap<String, Arc<LowRank>>) -> Weights {
        let before = self.files.len();
        for (name, mut placed) in replacements.tensors {
            placed.file += before;
            // What the metadata says of a tensor, it says of the one before.
            let of_it = format!(":{name}");
            self.metadata.retain(|key, _| !key.ends_with(&of_it));
            self.made.remove(&name);
            self.matrices.remove(&name);
            self.tensors.insert(name, placed);
        }
        self.files.extend(replacements.files);
        self.added.extend(added);
        self
    }

    /// The same tensors, that of `name` under the name `other` as well.
    pub fn also_called(mut self, name: &str, other: &str) -> Weights {
        if let Some(placed) = self.tensors.get(name).cloned() {
            self.tensors.insert(other.to_owned(), placed);
        } else if let Some((made, parts)) = self.made.get(name) {
            let again = (made.clone(), parts.clone());
            self.made.insert(other.to_owned(), again);
        } else if let Some(found) = self.matrices.get(name).cloned() {
            self.matrices.insert(other.to_owned(), found);
        }
        let of_it = format!(":{name}");
        let described = |(key, value): (&String, &String)| {
            let key = key.strip_suffix(&of_it)?;
            Some((format!("{key}:{other}"), value.clone()))
        };
        let described: Vec<_> = self.metadata.iter().filter_map(described).collect();
        self.metadata.extend(described);
        self
    }

    /// The product that is added to the matrix `name`.
    pub fn low_rank(&self, name: &str) -> Option<&Arc<LowRank>> {
        self.added.get(name)
    }

    /// Names of the matrices that products are added to.
    pub fn added(&self) -> impl Iterator<Item = &str> {
        self.added.keys().map(String::as_str)
    }

    /// The tensor called `name` without the product that is added to it.
    pub fn without_low_rank(&self, name: &str) -> Result<View<'_>> {
        self.own(name)
    }
}
