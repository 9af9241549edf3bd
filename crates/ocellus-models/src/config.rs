//! Reading a `config.json` so that no field which changes the computation goes unread.

use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Why a config was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the config is not valid JSON: {0}")]
    Json(String),
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
}

/// An object of a config that remembers which of its fields were read.
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

    /// A size or count that must be there; zero is refused, and so is anything over 2^31.
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

    pub fn sizes(&self, key: &str) -> Result<Vec<usize>, ConfigError> {
        let read = |v: &Value| {
            v.as_array()?
                .iter()
                .map(|n| n.as_u64().map(|n| n as usize))
                .collect()
        };
        self.required(key, self.typed(key, "a list of whole numbers", read)?)
    }

    /// The object under `key`.
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

    /// Counts as read what repeats, with the same value, a field that was read in `original`: some writers keep the decoder's
    /// fields both on the top level and inside.
    pub fn accept_copies(&self, original: &Fields) {
        let (mut read, known) = (self.read.borrow_mut(), original.read.borrow());
        for (key, value) in self.object {
            if known.contains(key) && original.object.get(key) == Some(value) {
                read.insert(key.clone());
            }
        }
    }

    /// Fails when a field is left that nobody read, and that is neither descriptive nor in `harmless`.
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
