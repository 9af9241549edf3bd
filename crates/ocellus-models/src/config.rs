//! Reading a `config.json` so that no field which changes the computation goes unread.

use ocellus_nn::Act;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Why a config was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the config is not valid JSON: {0}")]
    Json(String),
    #[error("the config is neither a JSON object nor valid YAML: {0}")]
    Yaml(String),
    #[error("config field `{field}` is missing")]
    Missing { field: String },
    #[error("config field `{field}` is {found}, expected {expected}")]
    Value {
        field: String,
        expected: String,
        found: String,
    },
    #[error(
        "config field `{field}` = {value} is not known to family `{family}` and may change the computation"
    )]
    Unread {
        field: String,
        value: String,
        family: String,
    },
    #[error("no family reads the architecture `{architecture}`; known: {known}")]
    Architecture { architecture: String, known: String },
    #[error("the config names no architecture, by `architectures` or `model_type`; known: {known}")]
    Unnamed { known: String },
}

/// An object of a config that records which of its fields were read.
pub struct Fields<'a> {
    path: String,
    object: &'a Map<String, Value>,
    read: RefCell<BTreeSet<String>>,
}

/// Fields that describe a checkpoint without changing what it computes.
const DESCRIPTIVE: &[&str] = &[
    "_name_or_path",
    "_attn_implementation_autoset",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "dtype",
    "eos_token_id",
    "initializer_range",
    "model_type",
    "pad_token_id",
    "torch_dtype",
    "transformers_version",
    "use_cache",
];

/// Fields that a library writes into every config and every part of one: defaults of generation, and notes about the file itself.
/// They do not change what an encoder computes.
pub const BOOKKEEPING: &[&str] = &[
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "initializer_factor",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "prefix",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torchscript",
    "typical_p",
    "use_bfloat16",
];

impl<'a> Fields<'a> {
    pub fn new(path: &str, value: &'a Value) -> Result<Self, ConfigError> {
        let object = value.as_object().ok_or_else(|| ConfigError::Value {
            field: path.to_owned(),
            expected: "an object".to_owned(),
            found: kind(value),
        })?;
        Ok(Self {
            path: path.to_owned(),
            object,
            read: RefCell::default(),
        })
    }

    /// `key` with the path to it, as errors name it.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The value of `key`, unless it is absent or null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(key.to_owned());
        self.object.get(key).filter(|v| !v.is_null())
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        read(value).map(Some).ok_or_else(|| ConfigError::Value {
            field: self.name(key),
            expected: expected.to_owned(),
            found: kind(value),
        })
    }

    fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, ConfigError> {
        value.ok_or_else(|| ConfigError::Missing {
            field: self.name(key),
        })
    }

    /// A size or count. It must be present, above 0 and at most 2^31.
    pub fn size(&self, key: &str) -> Result<usize, ConfigError> {
        self.required(key, self.size_or(key)?)
    }

    pub fn size_or(&self, key: &str) -> Result<Option<usize>, ConfigError> {
        let read = |v: &Value| {
            v.as_u64()
                .filter(|n| (1..=1 << 31).contains(n))
                .map(|n| n as usize)
        };
        self.typed(key, "a positive whole number", read)
    }

    /// A token id.
    pub fn id(&self, key: &str) -> Result<u32, ConfigError> {
        let read = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        self.required(key, self.typed(key, "a token id", read)?)
    }

    pub fn number_or(&self, key: &str, default: f64) -> Result<f64, ConfigError> {
        Ok(self
            .typed(key, "a finite number", |v| v.as_f64().filter(|n| n.is_finite()))?
            .unwrap_or(default))
    }

    pub fn number(&self, key: &str) -> Result<f64, ConfigError> {
        self.required(
            key,
            self.typed(key, "a finite number", |v| v.as_f64().filter(|n| n.is_finite()))?,
        )
    }

    pub fn flag_or(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        Ok(self
            .typed(key, "true or false", Value::as_bool)?
            .unwrap_or(default))
    }

    pub fn text(&self, key: &str) -> Result<&'a str, ConfigError> {
        self.required(key, self.typed(key, "a string", Value::as_str)?)
    }

    pub fn text_or(&self, key: &str, default: &'a str) -> Result<&'a str, ConfigError> {
        Ok(self.typed(key, "a string", Value::as_str)?.unwrap_or(default))
    }

    /// An activation function by the name that libraries give it.
    pub fn act(&self, key: &str, default: &'static str) -> Result<Act, ConfigError> {
        let name = self.text_or(key, default)?;
        match name {
            "gelu" => Ok(Act::Gelu),
            "quick_gelu" => Ok(Act::QuickGelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Act::GeluTanh),
            "silu" | "swish" => Ok(Act::Silu),
            "relu" => Ok(Act::Relu),
            "tanh" => Ok(Act::Tanh),
            _ => Err(ConfigError::Value {
                field: self.name(key),
                expected: "gelu, quick_gelu, gelu_new, silu, relu or tanh".to_owned(),
                found: format!("\"{name}\""),
            }),
        }
    }

    /// Height and width of a picture or a patch: one number for a square, or two numbers, height first.
    pub fn sides(&self, key: &str, default: usize) -> Result<(usize, usize), ConfigError> {
        let side = |v: &Value| {
            v.as_u64()
                .filter(|n| (1..=1 << 20).contains(n))
                .map(|n| n as usize)
        };
        let read = |v: &Value| match v.as_array().map(Vec::as_slice) {
            Some([h, w]) => Some((side(h)?, side(w)?)),
            Some(_) => None,
            None => side(v).map(|side| (side, side)),
        };
        Ok(self
            .typed(key, "a positive whole number or two", read)?
            .unwrap_or((default, default)))
    }

    pub fn sizes(&self, key: &str) -> Result<Vec<usize>, ConfigError> {
        let read = |v: &Value| {
            v.as_array()?
                .iter()
                .map(|n| n.as_u64().map(|n| n as usize))
                .collect()
        };
        self.required(key, self.typed(key, "a list of whole numbers", read)?)
    }

    /// A list of finite numbers.
    pub fn numbers(&self, key: &str) -> Result<Vec<f64>, ConfigError> {
        let read = |v: &Value| {
            let number = |n: &Value| n.as_f64().filter(|n| n.is_finite());
            v.as_array()?.iter().map(number).collect()
        };
        self.required(key, self.typed(key, "a list of finite numbers", read)?)
    }

    /// The object under `key`; `None` where it is absent.
    pub fn object(&self, key: &str) -> Result<Option<Fields<'a>>, ConfigError> {
        self.get(key).map(|v| Fields::new(&self.name(key), v)).transpose()
    }

    /// Fails unless `key` is absent or one of `allowed`.
    pub fn only(&self, key: &str, allowed: &[Value]) -> Result<(), ConfigError> {
        match self.get(key) {
            Some(value) if !allowed.contains(value) => Err(ConfigError::Value {
                field: self.name(key),
                expected: allowed
                    .iter()
                    .map(Value::to_string)
                    .collect::<Vec<_>>()
                    .join(" or "),
                found: value.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Marks as read every field that repeats a field read in `original` with the same value: some writers store the decoder's
    /// fields both at the top level and in the nested config.
    pub fn accept_copies(&self, original: &Fields) {
        let (mut read, known) = (self.read.borrow_mut(), original.read.borrow());
        for (key, value) in self.object {
            if known.contains(key) && original.object.get(key) == Some(value) {
                read.insert(key.clone());
            }
        }
    }

    /// Fails when a field was not read and is neither descriptive nor in `harmless`.
    pub fn finish(self, family: &str, harmless: &[&str]) -> Result<(), ConfigError> {
        let read = self.read.borrow();
        let left = self.object.iter().find(|(key, value)| {
            let key = key.as_str();
            !value.is_null() && !read.contains(key) && !DESCRIPTIVE.contains(&key) && !harmless.contains(&key)
        });
        match left {
            None => Ok(()),
            Some((key, value)) => Err(ConfigError::Unread {
                field: self.name(key),
                value: shortened(value),
                family: family.to_owned(),
            }),
        }
    }
}

fn kind(value: &Value) -> String {
    shortened(value)
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        text
    } else {
        format!("{}…", text.chars().take(60).collect::<String>())
    }
}
