//! Quantised matrices under the names that their weights would have.

use super::Weights;
use super::placed::{Found, Placed};
use crate::quantised::{Layout, Part, Parts, QuantisedMatrix, Scheme, layouts};
use crate::{Dtype, Result, View, WeightsError};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Weights {
    /// The same with quantised matrices under the names that their weights would have, and their tensors under none. Layouts are
    /// told by the names, types and shapes of tensors, what these leave open by `scheme`. Nothing but headers is read.
    ///
    /// # Errors
    /// A tensor that is missing, of another type or shape than the others ask for.
    pub fn quantised(mut self, scheme: Scheme) -> Result<Weights> {
        let scheme = Arc::new(scheme);
        let mut bases = BTreeSet::new();
        for name in self.tensors.keys() {
            for layout in layouts() {
                let base = name.strip_suffix(layout.mark);
                let base = base.filter(|base| base.is_empty() || base.ends_with('.'));
                bases.extend(base.map(str::to_owned));
            }
        }
        for base in bases {
            let mut marked = layouts()
                .iter()
                .filter(|layout| self.tensors.contains_key(&format!("{base}{}", layout.mark)));
            let found = marked.find_map(|layout| {
                let parts = self.parts(&base, &self.placed(&base, layout));
                (layout.claims)(&parts, &scheme).then_some((*layout, parts))
            });
            let Some((layout, parts)) = found else {
                continue;
            };
            let shape = (layout.shape)(&parts, &scheme).map_err(|reason| refused(&base, layout, reason))?;
            let placed = self.placed(&base, layout);
            for (end, _) in &placed {
                self.tensors.remove(&format!("{base}{end}"));
            }
            let (parts, scheme) = (placed, scheme.clone());
            let found = Found {
                layout,
                parts,
                shape,
                scheme,
            };
            if self.contains(&weight(&base)) {
                let (file, tensor) = (self.name.clone(), weight(&base));
                return Err(WeightsError::Duplicate { file, tensor });
            }
            self.matrices.insert(weight(&base), found);
        }
        Ok(self)
    }

    /// The quantised matrix of this name, opened: its scales are read, its codes are not.
    ///
    /// # Errors
    /// Tensors with values that make no sense: scales that are not finite, groups that are not there.
    pub fn matrix(&self, name: &str) -> Result<Option<QuantisedMatrix>> {
        let Some(found) = self.matrices.get(name) else {
            return Ok(None);
        };
        let base = name.strip_suffix("weight").unwrap_or(name);
        let opened = (found.layout.open)(&self.parts(base, &found.parts), &found.scheme, found.shape);
        let checked = opened.and_then(QuantisedMatrix::checked);
        checked
            .map(Some)
            .map_err(|reason| refused(base, found.layout, reason))
    }

    /// Whether `name` is a quantised matrix.
    pub fn is_quantised(&self, name: &str) -> bool {
        self.matrices.contains_key(name)
    }

    /// What the layout of the quantised matrix `name` is called.
    pub fn layout(&self, name: &str) -> Option<&'static str> {
        self.matrices.get(name).map(|found| found.layout.name)
    }

    /// Names of the quantised matrices.
    pub fn matrices(&self) -> impl Iterator<Item = &str> {
        self.matrices.keys().map(String::as_str)
    }

    /// The values of a quantised matrix as a tensor.
    pub(super) fn dequantised<'a>(&'a self, name: &'a str) -> Result<Option<View<'a>>> {
        let Some(matrix) = self.matrix(name)? else {
            return Ok(None);
        };
        let [outputs, inputs] = matrix.shape();
        let mut values = vec![0.0; outputs * inputs];
        matrix.read_f32(0, &mut values);
        Ok(Some(View {
            name,
            dtype: Dtype::F32,
            shape: vec![outputs, inputs],
            bytes: Cow::Owned(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        }))
    }

    /// The tensors of a layout that are there.
    fn placed(&self, base: &str, layout: &Layout) -> Vec<(&'static str, Placed)> {
        let ends = layout.beside.iter().chain([&layout.mark]);
        let there = ends.filter_map(|end| Some((*end, self.tensors.get(&format!("{base}{end}"))?.clone())));
        there.collect::<BTreeMap<_, _>>().into_iter().collect()
    }

    fn parts(&self, base: &str, placed: &[(&'static str, Placed)]) -> Parts {
        let part = |(end, placed): &(&'static str, Placed)| {
            let storage = self.files[placed.file].clone();
            let entry = placed.entry.clone();
            (*end, Part { storage, entry })
        };
        Parts {
            base: base.to_owned(),
            parts: placed.iter().map(part).collect(),
        }
    }
}

/// The name of a module's weight.
fn weight(base: &str) -> String {
    format!("{base}weight")
}

fn refused(base: &str, layout: &Layout, reason: String) -> WeightsError {
    WeightsError::Quantised {
        matrix: weight(base),
        layout: layout.name,
        reason,
    }
}
