//! `adapter_config.json`: which matrices an adapter changes, and by how much.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::error::{AdapterError, AdapterWarning};
use super::patterns::{Modules, Patterns};

/// What the computation of an adapter depends on.
pub struct AdapterConfig {
    rank: f64,
    alpha: f64,
    ranks: Patterns,
    alphas: Patterns,
    /// Whether sums are divided by the root of the rank instead of the rank.
    by_root: bool,
    pub targets: Modules,
    pub excluded: Modules,
    /// Layers by number, of modules that `targets` lists; with the names that numbers stand behind.
    pub layers: Option<(Vec<u64>, Vec<String>)>,
    /// Modules that are saved whole.
    pub saved: Vec<String>,
    /// Whether layers that are tied in the base are changed together.
    pub tied: bool,
    pub warnings: Vec<AdapterWarning>,
}

/// Methods that change the computation otherwise: the field, the value without them, and what they are.
const UNSUPPORTED: &[(&str, Value, &str)] = &[
    ("use_dora", Value::Bool(false), "DoRA"),
    ("use_qalora", Value::Bool(false), "QA-LoRA"),
    ("use_bdlora", Value::Bool(false), "block-diagonal LoRA"),
    ("layer_replication", Value::Null, "layers that are repeated"),
    ("megatron_config", Value::Null, "layers of Megatron"),
    ("alora_invocation_tokens", Value::Null, "activated LoRA"),
    (
        "target_parameters",
        Value::Null,
        "LoRA on parameters instead of modules",
    ),
    (
        "trainable_token_indices",
        Value::Null,
        "tokens that were trained on their own",
    ),
    ("arrow_config", Value::Null, "a router over several adapters"),
    ("kasa_config", Value::Null, "KaSA, which changes the base"),
    ("monteclora_config", Value::Null, "MonteCLoRA"),
];

/// Ways to start from that change the base's weights as well.
const BASE_CHANGING: &[&str] = &["pissa", "olora", "corda", "mica", "lora_ga"];

/// Fields that do not reach the computation: notes of the library, training alone, and other frameworks' parts.
const ACCEPTED: &[&str] = &[
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "enable_lora",
    "eva_config",
    "inference_mode",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "merge_weights",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
    "velora_config",
];
const ACCEPTED_BEGINNINGS: &[&str] = &["unsloth_", "swift_", "llamafactory_"];

impl AdapterConfig {
    /// # Errors
    /// Text that is no JSON object, another kind of adapter, and what changes the computation and is not applied.
    pub fn parse(text: &str) -> Result<Self, AdapterError> {
        let json = |error: serde_json::Error| AdapterError::Json(error.to_string());
        let object: Map<String, Value> = serde_json::from_str(text).map_err(json)?;
        let order: Order = serde_json::from_str(text).map_err(json)?;
        let fields = Fields(&object);
        match fields.text("peft_type")? {
            None => return Err(AdapterError::NoKind),
            Some("LORA") => {}
            Some(kind) => {
                return Err(AdapterError::Kind {
                    kind: kind.to_owned(),
                });
            }
        }
        let off = |value: &Value, default: &Value| {
            let empty = value.as_array().is_some_and(Vec::is_empty) || *value == Value::Bool(false);
            value.is_null() || value == default || (default.is_null() && empty)
        };
        for (field, default, what) in UNSUPPORTED {
            if object.get(*field).is_some_and(|value| !off(value, default)) {
                return Err(AdapterError::Unsupported { field, what });
            }
        }
        let mut warnings = Vec::new();
        if let Some(start) = object.get("init_lora_weights").and_then(Value::as_str) {
            let start = start.to_lowercase();
            if BASE_CHANGING.iter().any(|name| start.starts_with(name)) {
                return Err(AdapterError::Unsupported {
                    field: "init_lora_weights",
                    what: "a start that changes its base as well",
                });
            }
            warnings.extend((start == "loftq").then_some(AdapterWarning::Loftq));
        }
        fields.one_of("bias", &["none", "all", "lora_only"])?;
        // The kind of the layer decides, and not the field: none of ours stores its matrix the other way round.
        fields.flag("fan_in_fan_out")?;
        // Biases are applied where the file has some.
        fields.flag("lora_bias")?;
        let layers = match object.get("layers_to_transform") {
            None | Some(Value::Null) => None,
            Some(value) => Some((
                fields.numbers("layers_to_transform", value)?,
                fields.list("layers_pattern")?,
            )),
        };
        let config = Self {
            rank: fields.number("r")?.unwrap_or(8.0),
            alpha: fields.number("lora_alpha")?.unwrap_or(8.0),
            ranks: patterns("rank_pattern", order.ranks)?,
            alphas: patterns("alpha_pattern", order.alphas)?,
            by_root: fields.flag("use_rslora")?,
            targets: fields.modules("target_modules")?,
            excluded: fields.modules("exclude_modules")?,
            layers: layers.filter(|(numbers, _)| !numbers.is_empty()),
            saved: fields.list("modules_to_save")?,
            tied: fields.flag("ensure_weight_tying")?,
            warnings,
        };
        Ok(config.noting(&object))
    }

    fn noting(mut self, object: &Map<String, Value>) -> Self {
        const READ: &[&str] = &[
            "alpha_pattern",
            "bias",
            "ensure_weight_tying",
            "exclude_modules",
            "fan_in_fan_out",
            "init_lora_weights",
            "layers_pattern",
            "layers_to_transform",
            "lora_alpha",
            "lora_bias",
            "modules_to_save",
            "peft_type",
            "r",
            "rank_pattern",
            "target_modules",
            "use_rslora",
        ];
        let known = |field: &str| {
            READ.contains(&field)
                || ACCEPTED.contains(&field)
                || ACCEPTED_BEGINNINGS.iter().any(|start| field.starts_with(start))
                || UNSUPPORTED.iter().any(|(name, ..)| *name == field)
        };
        let unknown = object.iter().filter(|(field, _)| !known(field));
        self.warnings
            .extend(unknown.map(|(field, value)| AdapterWarning::UnknownField {
                field: field.clone(),
                value: short(value),
            }));
        self
    }

    /// The rank of the adapter of a module.
    pub fn rank(&self, module: &str) -> f64 {
        self.ranks.value(module).unwrap_or(self.rank)
    }

    /// What its product is multiplied by.
    pub fn scale(&self, module: &str) -> f64 {
        let alpha = self.alphas.value(module).unwrap_or(self.alpha);
        let rank = self.rank(module);
        alpha / if self.by_root { rank.sqrt() } else { rank }
    }

    /// The field that keeps the adapter from a module, if one does.
    pub fn keeps_from(&self, module: &str) -> Option<&'static str> {
        if self.targets.name(module) == Some(false) {
            return Some("target_modules");
        }
        if self.excluded.name(module) == Some(true) {
            return Some("exclude_modules");
        }
        let (numbers, behind) = self.layers.as_ref()?;
        // Layers are counted among modules that are listed.
        if !matches!(self.targets, Modules::Ends(_)) {
            return None;
        }
        let of_layer = layer(module, behind).is_some_and(|number| numbers.contains(&number));
        (!of_layer).then_some("layers_to_transform")
    }
}

/// The number of the layer that a module stands in: the first behind one of these names, or behind any name but the first.
fn layer(module: &str, behind: &[String]) -> Option<u64> {
    let parts: Vec<&str> = module.split('.').collect();
    let number = |at: usize| match parts[at].bytes().all(|b| b.is_ascii_digit()) {
        true => parts[at].parse().ok(),
        false => None,
    };
    let inner = 1..parts.len().saturating_sub(1);
    match behind.is_empty() {
        true => inner.filter(|at| *at > 1).find_map(number),
        false => behind.iter().find_map(|name| {
            let stands = |at: &usize| super::patterns::ends_with(&parts[..*at].join("."), name);
            inner.clone().filter(stands).find_map(number)
        }),
    }
}

fn patterns(field: &str, pairs: Vec<(String, f64)>) -> Result<Patterns, AdapterError> {
    Patterns::new(pairs).map_err(|found| AdapterError::Value {
        field: field.to_owned(),
        expected: "regular expressions that can be read".to_owned(),
        found: format!("`{found}`"),
    })
}

/// An object whose fields are read by type.
struct Fields<'v>(&'v Map<String, Value>);

impl<'v> Fields<'v> {
    fn get(&self, field: &str) -> Option<&'v Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn wrong<T>(&self, field: &str, expected: &str) -> Result<T, AdapterError> {
        Err(AdapterError::Value {
            field: field.to_owned(),
            expected: expected.to_owned(),
            found: self.0.get(field).map(short).unwrap_or_default(),
        })
    }

    fn text(&self, field: &str) -> Result<Option<&'v str>, AdapterError> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => self.wrong(field, "a text"),
        }
    }

    fn one_of(&self, field: &str, values: &[&str]) -> Result<(), AdapterError> {
        match self.text(field)? {
            Some(found) if !values.contains(&found) => self.wrong(field, &values.join(", ")),
            _ => Ok(()),
        }
    }

    fn flag(&self, field: &str) -> Result<bool, AdapterError> {
        match self.get(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => self.wrong(field, "true or false"),
        }
    }

    fn number(&self, field: &str) -> Result<Option<f64>, AdapterError> {
        match self.get(field).map(Value::as_f64) {
            None => Ok(None),
            Some(Some(number)) if number > 0.0 || field != "r" => Ok(Some(number)),
            Some(_) => self.wrong(field, "a number above 0"),
        }
    }

    fn numbers(&self, field: &str, value: &Value) -> Result<Vec<u64>, AdapterError> {
        let one = std::slice::from_ref(value);
        let numbers = value
            .as_array()
            .map_or(one, Vec::as_slice)
            .iter()
            .map(Value::as_u64);
        match numbers.collect() {
            Some(numbers) => Ok(numbers),
            None => self.wrong(field, "numbers of layers"),
        }
    }

    fn list(&self, field: &str) -> Result<Vec<String>, AdapterError> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match self.get(field) {
            None => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![one.clone()].into_iter().filter(|n| !n.is_empty()).collect()),
            Some(Value::Array(list)) => match list.iter().map(text).collect() {
                Some(list) => Ok(list),
                None => self.wrong(field, "a list of names"),
            },
            Some(_) => self.wrong(field, "a list of names"),
        }
    }

    fn modules(&self, field: &str) -> Result<Modules, AdapterError> {
        match self.get(field) {
            None => Ok(Modules::Unsaid),
            // All that the tensors are for.
            Some(Value::String(text)) if text == "all-linear" => Ok(Modules::Unsaid),
            Some(Value::String(text)) => Ok(Modules::expression(text)),
            Some(_) => {
                let ends = self.list(field)?;
                Ok(if ends.is_empty() {
                    Modules::Unsaid
                } else {
                    Modules::Ends(ends)
                })
            }
        }
    }
}

/// The patterns in the order of the text, which decides between two that fit.
#[derive(Default)]
struct Order {
    ranks: Vec<(String, f64)>,
    alphas: Vec<(String, f64)>,
}

impl<'de> serde::Deserialize<'de> for Order {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OfConfig)
    }
}

struct OfConfig;

impl<'de> Visitor<'de> for OfConfig {
    type Value = Order;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Order, M::Error> {
        let mut order = Order::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "rank_pattern" => order.ranks = map.next_value::<Option<Pairs>>()?.unwrap_or_default().0,
                "alpha_pattern" => order.alphas = map.next_value::<Option<Pairs>>()?.unwrap_or_default().0,
                _ => drop(map.next_value::<serde::de::IgnoredAny>()?),
            }
        }
        Ok(order)
    }
}

#[derive(Default)]
struct Pairs(Vec<(String, f64)>);

impl<'de> serde::Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OfPairs)
    }
}

struct OfPairs;

impl<'de> Visitor<'de> for OfPairs {
    type Value = Pairs;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("numbers by names of modules")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs, M::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

/// A value as an error shows it.
fn short(value: &Value) -> String {
    const MOST: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(fields: Value) -> Result<AdapterConfig, AdapterError> {
        let mut config = json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]});
        config
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        AdapterConfig::parse(&config.to_string())
    }

    #[test]
    fn scales() {
        for (fields, module, scale) in [
            (json!({}), "a.q_proj", 2.0),
            (json!({"use_rslora": true}), "a.q_proj", 4.0),
            (json!({"rank_pattern": {"q_proj": 2}}), "a.q_proj", 4.0),
            (json!({"alpha_pattern": {"q_proj": 2}}), "a.q_proj", 0.5),
            (
                json!({"alpha_pattern": {"q_proj": 2}, "use_rslora": true, "rank_pattern": {"a.*": 16}}),
                "a.q_proj",
                0.5,
            ),
            (
                json!({"alpha_pattern": null, "rank_pattern": {"k_proj": 2}}),
                "a.q_proj",
                2.0,
            ),
        ] {
            assert_eq!(parsed(fields.clone()).unwrap().scale(module), scale, "{fields}");
        }
        let text = r#"{"peft_type": "LORA", "r": 1, "lora_alpha": 1,
            "alpha_pattern": {"z_proj": 5, ".*_proj": 3, "a_proj": 7}}"#;
        let config = AdapterConfig::parse(text).unwrap();
        assert_eq!([config.scale("z_proj"), config.scale("a_proj")], [5.0, 3.0]);
    }

    #[test]
    fn what_changes_the_computation_otherwise_is_refused_by_name() {
        for (fields, part) in [
            (json!({"use_dora": true}), "DoRA (`use_dora`"),
            (json!({"use_qalora": true}), "use_qalora"),
            (json!({"layer_replication": [[0, 2]]}), "layer_replication"),
            (json!({"megatron_config": {}}), "megatron_config"),
            (
                json!({"target_parameters": ["experts.gate"]}),
                "target_parameters",
            ),
            (json!({"trainable_token_indices": [1]}), "trainable_token_indices"),
            (
                json!({"init_lora_weights": "pissa_niter_16"}),
                "init_lora_weights",
            ),
            (json!({"init_lora_weights": "OLoRA"}), "init_lora_weights"),
            (json!({"peft_type": "IA3"}), "the kind `IA3`"),
            (json!({"peft_type": "PROMPT_TUNING"}), "the kind `PROMPT_TUNING`"),
            (json!({"peft_type": null}), "peft_type"),
            (json!({"peft_type": 3}), "a text"),
            (json!({"r": 0}), "above 0"),
            (json!({"r": "x"}), "above 0"),
            (json!({"bias": "some"}), "none, all, lora_only"),
            (json!({"use_rslora": 1}), "true or false"),
            (json!({"rank_pattern": {"(": 1}}), "`(`"),
            (json!({"rank_pattern": [1]}), "numbers by names"),
            (json!({"target_modules": [1]}), "a list of names"),
            (json!({"layers_to_transform": ["x"]}), "numbers of layers"),
        ] {
            let error = parsed(fields.clone())
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default();
            assert!(error.contains(part), "{fields}: {error}");
        }
        for fields in [
            json!({"use_dora": null, "target_parameters": [], "use_bdlora": null, "layer_replication": null}),
            json!({"lora_dropout": 0.1, "task_type": "CAUSAL_LM", "inference_mode": true, "unsloth_fixed": true}),
            json!({"init_lora_weights": "gaussian", "fan_in_fan_out": true, "velora_config": {}}),
        ] {
            assert!(parsed(fields).unwrap().warnings.is_empty());
        }
        let warned = parsed(json!({"new_kind_of_thing": 3, "init_lora_weights": "loftq"}))
            .unwrap()
            .warnings;
        assert_eq!(warned.len(), 2, "{warned:?}");
    }

    #[test]
    fn modules_that_are_not_named() {
        let layers = json!({"layers_to_transform": [1, 3], "layers_pattern": "layers"});
        let first = json!({"layers_to_transform": 0});
        for (fields, module, field) in [
            (json!({}), "model.layers.0.q_proj", None),
            (json!({}), "model.layers.0.v_proj", Some("target_modules")),
            (
                json!({"exclude_modules": ["0.q_proj"]}),
                "model.layers.0.q_proj",
                Some("exclude_modules"),
            ),
            (
                json!({"target_modules": "all-linear"}),
                "model.layers.0.v_proj",
                None,
            ),
            (
                json!({"target_modules": r".*\.q_proj"}),
                "model.layers.0.v_proj",
                Some("target_modules"),
            ),
            (layers.clone(), "model.layers.1.q_proj", None),
            (
                layers.clone(),
                "model.layers.2.q_proj",
                Some("layers_to_transform"),
            ),
            (layers, "model.blocks.1.q_proj", Some("layers_to_transform")),
            (first.clone(), "model.layers.0.mlp.1.q_proj", None),
            (first, "model.layers.1.mlp.0.q_proj", Some("layers_to_transform")),
        ] {
            assert_eq!(
                parsed(fields.clone()).unwrap().keeps_from(module),
                field,
                "{fields} {module}"
            );
        }
    }
}
