//! LoRA adapters beside their base: the base is a golden without a product, which the adapter adds again.

use serde_json::{Value, json};

use ocellus_weights::{Dtype, TensorBytes, encode};
use std::collections::BTreeMap;

use crate::checkpoint::{Checkpoint, Tensor};
use crate::variant::Treatment::{self, Equal, Refused, Warns};
use crate::variant::{Variant, each};

const ADAPTERS: &str = "LoRA adapters beside their base";

const ALL: &[&str] = &[
    "qwen2_vl-multi-449",
    "qwen2_5_vl-multi-457",
    "qwen3_vl-multi",
    "pixtral-multi-hf",
    "clip-quickgelu",
    "vilt-vqa",
    "blip-caption",
    "blip_2-opt",
];
const SOME: &[&str] = &["qwen2_vl-multi-449", "pixtral-multi-hf"];
const ONE: &[&str] = &["qwen2_5_vl-multi-457"];
/// Goldens in the layout of old versions, and in that of new ones.
const OLD: &[&str] = &["qwen2_vl-multi-449", "qwen2_5_vl-multi-449"];
const NEW: &[&str] = &["qwen3_vl-multi"];

/// What an adapter is made for: ends of names that one of its modules has.
const TARGETS: &[&str] = &["q_proj", "v_proj", "query", "value"];

/// An adapter that is about to be written.
struct Adapter {
    config: Value,
    tensors: BTreeMap<String, Tensor>,
}

impl Adapter {
    /// Takes the product of a pair for every module whose name ends so from the base.
    fn of(checkpoint: &mut Checkpoint, targets: &[&str], scale: impl Fn(&str) -> f32, rank: usize) -> Self {
        let mut tensors = BTreeMap::new();
        let fits = |name: &str| {
            let module = name.strip_suffix(".weight")?;
            let named = |target: &&str| module.ends_with(&format!(".{target}"));
            targets.iter().any(named).then(|| module.to_owned())
        };
        for (name, (dtype, shape, bytes)) in &mut checkpoint.tensors {
            let Some(module) = fits(name).filter(|_| *dtype == Dtype::F32 && shape.len() > 1) else {
                continue;
            };
            let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
            let value = |i: usize| ((i * 2_654_435_761 + module.len() * 97) % 31) as f32 * 0.008 - 0.12;
            let a: Vec<f32> = (0..rank * columns).map(value).collect();
            let b: Vec<f32> = (0..rows * rank).map(|i| value(i + 7)).collect();
            let (cells, _) = bytes.as_chunks_mut::<4>();
            for (at, cell) in cells.iter_mut().enumerate() {
                let (row, column) = (at / columns, at % columns);
                let product: f32 = (0..rank)
                    .map(|k| b[row * rank + k] * a[k * columns + column])
                    .sum();
                *cell = (f32::from_le_bytes(*cell) - scale(&module) * product).to_le_bytes();
            }
            let bytes = |values: Vec<f32>| values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let of_a = [&[rank], &shape[1..]].concat();
            let of_b = [&[rows, rank][..], &vec![1; shape.len() - 2]].concat();
            tensors.insert(
                format!("base_model.model.{module}.lora_A.weight"),
                (Dtype::F32, of_a, bytes(a)),
            );
            tensors.insert(
                format!("base_model.model.{module}.lora_B.weight"),
                (Dtype::F32, of_b, bytes(b)),
            );
        }
        assert!(!tensors.is_empty(), "nothing ends with {targets:?}");
        let config = json!({
            "peft_type": "LORA", "base_model_name_or_path": "org/base", "r": rank, "lora_alpha": 2 * rank,
            "target_modules": targets, "task_type": "CAUSAL_LM", "lora_dropout": 0.05, "bias": "none",
        });
        Self { config, tensors }
    }

    fn usual(checkpoint: &mut Checkpoint) -> Self {
        Self::of(checkpoint, TARGETS, |_| 2.0, 3)
    }

    fn set(&mut self, field: &str, value: Value) {
        self.config[field] = value;
    }

    fn rename(&mut self, name: impl Fn(&str) -> String) {
        let tensors = std::mem::take(&mut self.tensors);
        self.tensors = tensors
            .into_iter()
            .map(|(own, tensor)| (name(&own), tensor))
            .collect();
    }

    /// The first tensor whose name contains this.
    fn first(&mut self, part: &str) -> String {
        self.tensors
            .keys()
            .find(|name| name.contains(part))
            .expect("there is one")
            .clone()
    }

    fn put(self, checkpoint: &mut Checkpoint) {
        let tensors: Vec<TensorBytes> = self
            .tensors
            .into_iter()
            .map(|(name, (dtype, shape, bytes))| (name, dtype, shape, bytes))
            .collect();
        let tensors = encode(&tensors, &BTreeMap::new()).unwrap();
        checkpoint
            .files
            .insert("adapter_model.safetensors".into(), tensors);
        let config = self.config.to_string().into_bytes();
        checkpoint.files.insert("adapter_config.json".into(), config);
    }
}

/// The usual adapter with a change.
fn row(
    name: &str,
    bases: &[&'static str],
    treatment: Treatment,
    change: impl Fn(&mut Adapter) + 'static,
) -> Vec<Variant> {
    each(ADAPTERS, name, bases, treatment, move |checkpoint| {
        let mut adapter = Adapter::usual(checkpoint);
        change(&mut adapter);
        adapter.put(checkpoint);
    })
}

pub fn variants() -> Vec<Variant> {
    [applied(), named(), warned(), refused()].concat()
}

fn applied() -> Vec<Variant> {
    let scaled = |name: &str, scale: fn(&str) -> f32, fields: Value| {
        each(ADAPTERS, name, SOME, Equal, move |checkpoint| {
            let mut adapter = Adapter::of(checkpoint, &["q_proj", "v_proj"], scale, 4);
            for (field, value) in fields.as_object().unwrap() {
                adapter.set(field, value.clone());
            }
            adapter.put(checkpoint);
        })
    };
    [
        row("queries and values", ALL, Equal, |_| {}),
        scaled("`use_rslora`", |_| 4.0, json!({"use_rslora": true})),
        scaled(
            "`alpha_pattern`",
            |module| if module.ends_with("q_proj") { 0.5 } else { 2.0 },
            json!({"alpha_pattern": {"q_proj": 2}}),
        ),
        scaled(
            "`alpha_pattern` and `rank_pattern` with expressions",
            |module| if module.contains(".0.") { 0.25 } else { 1.5 },
            json!({"r": 9, "rank_pattern": {".*": 4}, "alpha_pattern": {r".*\.0\..*": 1, "q_proj": 6, "v_proj": 6}}),
        ),
        scaled("`fan_in_fan_out`", |_| 2.0, json!({"fan_in_fan_out": true})),
        row("`target_modules` as an expression", SOME, Equal, |a| {
            a.set("target_modules", json!(r"^(?!.*nothing).*\.(?:q_proj|v_proj)$"))
        }),
        row("`target_modules`: \"all-linear\"", SOME, Equal, |a| a.set("target_modules", json!("all-linear"))),
        each(ADAPTERS, "layers of the tower and its patch embedding", OLD, Equal, |c| {
            Adapter::of(c, &["qkv", "patch_embed.proj", "fc1", "mlp.0"], |_| 2.0, 2).put(c);
        }),
        each(ADAPTERS, "`modules_to_save`: the head and the table", &["qwen2_vl-multi-449", "pixtral-multi-hf"], Equal, |c| {
            let mut adapter = Adapter::usual(c);
            adapter.set("modules_to_save", json!(["lm_head", "embed_tokens"]));
            for (name, tensor) in &mut c.tensors {
                if name.ends_with("lm_head.weight") || name.ends_with("embed_tokens.weight") {
                    adapter.tensors.insert(format!("base_model.model.{name}"), tensor.clone());
                    tensor.2.fill(0);
                }
            }
            adapter.put(c);
        }),
        each(ADAPTERS, "`bias`: \"all\"", OLD, Equal, |c| {
            let mut adapter = Adapter::usual(c);
            adapter.set("bias", json!("all"));
            for (name, tensor) in &mut c.tensors {
                if name.ends_with(".bias") {
                    let inner = name.replace("_proj.bias", "_proj.base_layer.bias");
                    adapter.tensors.insert(format!("base_model.model.{inner}"), tensor.clone());
                    tensor.2.fill(0);
                }
            }
            adapter.put(c);
        }),
        each(ADAPTERS, "some layers with `layers_to_transform`", SOME, Equal, |c| {
            let whole = c.tensors.clone();
            let mut adapter = Adapter::of(c, &["q_proj"], |_| 2.0, 3);
            adapter.set("layers_to_transform", json!([0]));
            adapter.set("layers_pattern", json!("layers"));
            adapter.tensors.retain(|name, _| name.contains("layers.0."));
            for (name, tensor) in &mut c.tensors {
                if !name.contains("layers.0.") {
                    *tensor = whole[name].clone();
                }
            }
            adapter.put(c);
        }),
    ]
    .concat()
}

fn named() -> Vec<Variant> {
    let renamed = |name: &str, bases: &[&'static str], change: fn(&str) -> String| {
        row(name, bases, Equal, move |adapter| adapter.rename(change))
    };
    [
        renamed(
            "names of the newest version beside those of old ones",
            OLD,
            |name| {
                let name = name.replace("model.model.layers.", "model.model.language_model.layers.");
                name.replace("base_model.model.visual.", "base_model.model.model.visual.")
            },
        ),
        renamed("names of old versions beside those of the newest", NEW, |name| {
            name.replace("model.language_model.layers.", "model.layers.")
        }),
        renamed(
            "names of new versions beside those of old ones",
            &["pixtral-multi-hf"],
            |name| {
                name.replace("language_model.model.", "model.language_model.")
                    .replace("model.vision_tower.", "model.model.vision_tower.")
            },
        ),
        renamed("names with the adapter's own", SOME, |name| {
            name.replace(".weight", ".default.weight")
        }),
        renamed("names without `base_model.model.`", SOME, |name| {
            name.replace("base_model.model.", "")
        }),
        renamed("names behind the prefixes of trainers", SOME, |name| {
            format!("module._orig_mod.{name}")
        }),
        each(ADAPTERS, "a base behind a prefix", SOME, Equal, |c| {
            Adapter::usual(c).put(c);
            c.rename(|name| format!("module.{name}"));
        }),
    ]
    .concat()
}

fn warned() -> Vec<Variant> {
    [
        row(
            "an unknown field",
            SOME,
            Warns("the field `new_field` = 1 is not known"),
            |a| a.set("new_field", json!(1)),
        ),
        row(
            "a target without tensors",
            &["qwen2_vl-multi-449"],
            Warns("has no tensors for it"),
            |a| a.set("target_modules", json!(["q_proj", "v_proj", "o_proj"])),
        ),
        row(
            "tensors that belong to nothing",
            SOME,
            Warns("belongs to nothing that its base has"),
            |a| {
                let (_, tensor) = a.tensors.iter().next().expect("there is one");
                let tensor = tensor.clone();
                a.tensors.insert("value_head.weight".into(), tensor);
            },
        ),
        row("`init_lora_weights`: \"loftq\"", SOME, Warns("LoftQ"), |a| {
            a.set("init_lora_weights", json!("loftq"))
        }),
    ]
    .concat()
}

fn refused() -> Vec<Variant> {
    let fields: &[(&str, &str, Value, &'static str)] = &[
        ("DoRA", "use_dora", json!(true), "DoRA (`use_dora`"),
        (
            "another kind of adapter",
            "peft_type",
            json!("IA3"),
            "of the kind `IA3`",
        ),
        (
            "another kind of adapter",
            "peft_type",
            json!("LOHA"),
            "of the kind `LOHA`",
        ),
        ("no kind", "peft_type", Value::Null, "says no `peft_type`"),
        (
            "PiSSA that was not converted",
            "init_lora_weights",
            json!("pissa"),
            "a start that changes its base",
        ),
        (
            "tokens that were trained alone",
            "trainable_token_indices",
            json!([1]),
            "trainable_token_indices",
        ),
        (
            "layers that are repeated",
            "layer_replication",
            json!([[0, 1]]),
            "layer_replication",
        ),
        ("another rank", "r", json!(5), "expected the rank 5 first"),
        (
            "tensors that the config does not name",
            "target_modules",
            json!(["q_proj"]),
            "target_modules does not name it",
        ),
    ];
    let mut rows = Vec::new();
    for (name, field, value, part) in fields {
        let (field, value) = (*field, value.clone());
        rows.extend(row(name, &["qwen2_vl-multi-449"], Refused(part), move |a| {
            a.set(field, value.clone())
        }));
    }
    let take = |part: &'static str| {
        move |a: &mut Adapter| {
            let name = a.first(part);
            a.tensors.remove(&name);
        }
    };
    rows.extend(row("A without B", SOME, Refused("has `lora_A`"), take("lora_B")));
    rows.extend(row("B without A", SOME, Refused("has `lora_B`"), take("lora_A")));
    rows.extend(row(
        "a module that the base does not have",
        SOME,
        Refused("which its base does not have"),
        |a| a.rename(|name| name.replace(".layers.0.", ".layers.99.")),
    ));
    rows.extend(row(
        "an adapter of a wider model",
        ONE,
        Refused("one for the base's matrix of"),
        |a| {
            let name = a.first("lora_B");
            let (_, shape, bytes) = a.tensors.get_mut(&name).unwrap();
            shape[0] *= 2;
            *bytes = bytes.repeat(2);
        },
    ));
    rows.extend(row(
        "several adapters in one file",
        SOME,
        Refused("holds several adapters, one, two"),
        |a| {
            let (first, second) = (a.first("lora_A"), a.first("lora_B"));
            a.rename(move |name| match name {
                name if name == first => name.replace(".weight", ".one.weight"),
                name if name == second => name.replace(".weight", ".two.weight"),
                name => name.to_owned(),
            });
        },
    ));
    rows.extend(row("DoRA's magnitudes", SOME, Refused("DoRA magnitudes"), |a| {
        let name = a.first("lora_A");
        let tensor = a.tensors[&name].clone();
        a.tensors
            .insert(name.replace("lora_A.weight", "lora_magnitude_vector"), tensor);
    }));
    rows.extend(each(
        ADAPTERS,
        "a saved module that the base does not have",
        SOME,
        Refused("is for `model.score`"),
        |c| {
            let mut adapter = Adapter::usual(c);
            adapter.set("modules_to_save", json!(["score"]));
            let (_, tensor) = adapter.tensors.iter().next().expect("there is one");
            let tensor = tensor.clone();
            adapter
                .tensors
                .insert("base_model.model.model.score.weight".into(), tensor);
            adapter.put(c);
        },
    ));
    rows.extend(each(
        ADAPTERS,
        "a config without tensors",
        SOME,
        Refused("adapter_model.safetensors"),
        |c| {
            Adapter::usual(c).put(c);
            c.files.remove("adapter_model.safetensors");
        },
    ));
    rows
}
