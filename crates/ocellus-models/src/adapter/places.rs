//! Where the modules that an adapter names stand in its base, whose names may be those of another version.

use std::collections::{BTreeMap, BTreeSet};

use ocellus_weights::Weights;

/// Parts of names that versions of the library put in different places, or leave out.
const MOVING: &[&str] = &["model", "language_model"];
/// Two names of one part.
const ALSO: (&str, &str) = ("visual", "vision_tower");
/// The output head, which a base with a tied one does not store.
const HEAD: &str = "lm_head";

/// The table of tokens that it shares then.
pub const TABLE: &str = "embed_tokens";

/// The modules of a base: what holds tensors, directly or not.
pub struct Places {
    /// By the parts of their names that stay; `None` for several.
    modules: BTreeMap<String, Option<String>>,
    exact: BTreeSet<String>,
}

impl Places {
    pub fn new(base: &Weights) -> Self {
        let (mut modules, mut exact) = (BTreeMap::new(), BTreeSet::new());
        for name in base.names() {
            let mut rest = name;
            while let Some((module, _)) = rest.rsplit_once('.') {
                if !exact.insert(module.to_owned()) {
                    break;
                }
                modules
                    .entry(lasting(module))
                    .and_modify(|place| *place = None)
                    .or_insert_with(|| Some(module.to_owned()));
                rest = module;
            }
        }
        Self { modules, exact }
    }

    /// The module's name in the base.
    pub fn module(&self, name: &str) -> Option<String> {
        if self.exact.contains(name) {
            return Some(name.to_owned());
        }
        let short = lasting(name);
        self.modules.get(&short).filter(|_| !short.is_empty())?.clone()
    }

    /// The name that a tensor of the base has or would have.
    pub fn tensor(&self, name: &str) -> Option<String> {
        let (module, leaf) = name.rsplit_once('.')?;
        let module = match lasting(module) == HEAD {
            true => self.module(module).unwrap_or_else(|| self.head()),
            false => self.module(module)?,
        };
        Some(format!("{module}.{leaf}"))
    }

    /// Whether the last parts of any module's name are `end`.
    pub fn any_ends_with(&self, end: &str) -> bool {
        self.exact
            .iter()
            .any(|module| super::patterns::ends_with(module, end))
    }

    /// Whether the base stores an output head of its own.
    pub fn has_head(&self) -> bool {
        self.modules.contains_key(HEAD)
    }

    /// Whether a module is the output head of a base that stores none.
    pub fn is_tied_head(&self, module: &str) -> bool {
        !self.has_head() && lasting(module) == HEAD
    }

    /// The table of tokens, where there is one.
    pub fn only_table(&self) -> Option<String> {
        let mut tables = self
            .exact
            .iter()
            .filter(|module| super::patterns::ends_with(module, TABLE));
        tables.next().filter(|_| tables.next().is_none()).cloned()
    }

    /// The name of the output head, stored or not.
    fn head(&self) -> String {
        match self.exact.contains("language_model.model") {
            true => format!("language_model.{HEAD}"),
            false => HEAD.to_owned(),
        }
    }

    /// The name of the matrix of the output head.
    pub fn head_matrix(&self) -> String {
        format!("{}.weight", self.head())
    }
}

/// The parts of a name that are the same in all versions.
fn lasting(name: &str) -> String {
    let parts = name.split('.').filter(|part| !MOVING.contains(part));
    let parts = parts.map(|part| if part == ALSO.0 { ALSO.1 } else { part });
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocellus_weights::{Dtype, encode};

    #[test]
    fn modules_are_found_in_every_layout() {
        let base = |names: &[&str]| {
            let tensors: Vec<_> = names
                .iter()
                .map(|name| ((*name).to_owned(), Dtype::F32, vec![1], vec![0; 4]))
                .collect();
            let weights = Weights::from_bytes(encode(&tensors, &BTreeMap::new()).unwrap(), "base").unwrap();
            Places::new(&weights)
        };
        let old = base(&[
            "model.layers.0.q.weight",
            "visual.blocks.0.q.weight",
            "lm_head.weight",
        ]);
        let new = base(&[
            "model.language_model.layers.0.q.weight",
            "model.visual.blocks.0.q.weight",
        ]);
        let other = base(&[
            "language_model.model.layers.0.q.qweight",
            "vision_tower.blocks.0.q.weight",
        ]);
        for (module, places) in [
            (
                "model.layers.0.q",
                [
                    "model.layers.0.q",
                    "model.language_model.layers.0.q",
                    "language_model.model.layers.0.q",
                ],
            ),
            (
                "model.language_model.layers.0.q",
                [
                    "model.layers.0.q",
                    "model.language_model.layers.0.q",
                    "language_model.model.layers.0.q",
                ],
            ),
            (
                "model.visual.blocks.0.q",
                [
                    "visual.blocks.0.q",
                    "model.visual.blocks.0.q",
                    "vision_tower.blocks.0.q",
                ],
            ),
        ] {
            for (base, place) in [&old, &new, &other].into_iter().zip(places) {
                assert_eq!(base.module(module).as_deref(), Some(place), "{module}");
            }
        }
        assert_eq!(old.module("model.layers.1.q"), None);
        assert_eq!(old.module("model"), Some("model".to_owned()));
        assert_eq!([old.has_head(), new.has_head()], [true, false]);
        for (base, head) in [
            (&old, "lm_head.weight"),
            (&new, "lm_head.weight"),
            (&other, "language_model.lm_head.weight"),
        ] {
            assert_eq!(base.tensor("lm_head.weight").as_deref(), Some(head));
        }
        // Two that differ only in what moves cannot be told apart.
        let both = base(&["model.layers.0.q.weight", "language_model.layers.0.q.weight"]);
        assert_eq!(both.module("layers.0.q"), None);
        assert_eq!(
            both.module("model.layers.0.q").as_deref(),
            Some("model.layers.0.q")
        );
    }
}
