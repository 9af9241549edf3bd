//! The tensors of an adapter's file, by what their names say.

use std::collections::{BTreeMap, BTreeSet};

use super::error::AdapterError;

/// What stands in front of the names of the model that an adapter was trained on.
const WRAPPER: &str = "base_model.model.";

/// Parts of a name that wrappers put between those of the model.
const BETWEEN: &[&str] = &[
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "base_layer",
];

/// The stored names of the tensors of one module's adapter.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// `[rank, inputs]`, or of a table `[rank, rows]`.
    pub a: Option<String>,
    /// `[outputs, rank]`, or of a table `[width, rank]`.
    pub b: Option<String>,
    /// `[outputs]`.
    pub bias: Option<String>,
    /// Whether it is a table that rows are looked up in.
    pub table: bool,
}

/// An adapter's tensors.
#[derive(Debug, Default)]
pub struct Tensors {
    /// By module, named as in the model that it was trained on.
    pub pairs: BTreeMap<String, Pair>,
    /// Tensors that take the place of the base's: their names there, and as they are stored.
    pub whole: BTreeMap<String, String>,
}

impl Tensors {
    /// # Errors
    /// Tensors of other kinds of adapters, and of several adapters.
    pub fn read<'n>(names: impl Iterator<Item = &'n str>) -> Result<Self, AdapterError> {
        let (mut tensors, mut adapters) = (Self::default(), BTreeSet::new());
        for stored in names {
            let inner = stored
                .find(WRAPPER)
                .map_or(stored, |at| &stored[at + WRAPPER.len()..]);
            let mut parts: Vec<&str> = inner.split('.').filter(|part| !BETWEEN.contains(part)).collect();
            if let Some(at) = parts.iter().position(|part| *part == "modules_to_save") {
                parts.drain(at..(at + 2).min(parts.len() - 1));
            }
            let Some(at) = parts.iter().position(|part| part.starts_with("lora_")) else {
                tensors.whole.insert(parts.join("."), stored.to_owned());
                continue;
            };
            let unknown = || AdapterError::Tensor {
                tensor: stored.to_owned(),
            };
            let pair = tensors.pairs.entry(parts[..at].join(".")).or_default();
            let (kind, rest) = (parts[at], &parts[at + 1..]);
            if kind == "lora_magnitude_vector" {
                return Err(AdapterError::Dora {
                    tensor: stored.to_owned(),
                });
            }
            let (leaf, adapter) = match *rest {
                [] => ("weight", None),
                [leaf @ ("weight" | "bias")] => (leaf, None),
                [adapter] => ("weight", Some(adapter)),
                [adapter, leaf] => (leaf, Some(adapter)),
                _ => return Err(unknown()),
            };
            adapters.extend(adapter);
            let place = match (kind, leaf) {
                ("lora_A" | "lora_embedding_A", "weight") => &mut pair.a,
                ("lora_B" | "lora_embedding_B", "weight") => &mut pair.b,
                ("lora_B", "bias") => &mut pair.bias,
                _ => return Err(unknown()),
            };
            *place = Some(stored.to_owned());
            pair.table |= kind.starts_with("lora_embedding");
        }
        match adapters.len() {
            0 | 1 if tensors.pairs.is_empty() && tensors.whole.is_empty() => Err(AdapterError::Empty),
            0 | 1 => Ok(tensors),
            _ => Err(AdapterError::Several {
                names: adapters.into_iter().map(str::to_owned).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_versions_and_trainers_write_them() {
        for name in [
            "base_model.model.model.layers.0.q_proj.lora_A.weight",
            "base_model.model.model.layers.0.q_proj.lora_A.default.weight",
            "module.base_model.model.model.layers.0.q_proj.lora_A.weight",
            "_orig_mod.base_model.model.model.layers.0._checkpoint_wrapped_module.q_proj.lora_A.weight",
            "model.layers.0.q_proj.lora_A.weight",
        ] {
            let tensors = Tensors::read([name].into_iter()).unwrap();
            assert_eq!(tensors.pairs["model.layers.0.q_proj"].a.as_deref(), Some(name));
        }
        for (name, whole) in [
            ("base_model.model.lm_head.weight", "lm_head.weight"),
            (
                "base_model.model.lm_head.modules_to_save.default.weight",
                "lm_head.weight",
            ),
            (
                "base_model.model.lm_head.modules_to_save.weight",
                "lm_head.weight",
            ),
            (
                "base_model.model.layers.0.q_proj.base_layer.bias",
                "layers.0.q_proj.bias",
            ),
        ] {
            let tensors = Tensors::read([name].into_iter()).unwrap();
            assert_eq!(tensors.whole[whole], name);
        }
        let table = Tensors::read(["base_model.model.embed.lora_embedding_B"].into_iter()).unwrap();
        assert!(table.pairs["embed"].table && table.pairs["embed"].b.is_some());
    }

    #[test]
    fn what_is_refused() {
        for (names, part) in [
            (
                &["x.lora_A.one.weight", "x.lora_A.two.weight"][..],
                "several adapters, one, two",
            ),
            (&["x.lora_magnitude_vector"], "DoRA magnitudes"),
            (&["x.lora_A.a.b.weight"], "no kind"),
            (&["x.lora_C.weight"], "no kind"),
            (&[], "no tensors"),
        ] {
            let error = Tensors::read(names.iter().copied()).unwrap_err().to_string();
            assert!(error.contains(part), "{names:?}: {error}");
        }
    }
}
