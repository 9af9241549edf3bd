//! Reading an object of a config so that no field which changes the computation goes unread.

use ocellus_nn::Act;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::accepted::accepted;
use super::class::{Class, same};
use super::error::ConfigError;
use super::log::Log;
use super::warning::ModelWarning;

/// An object of a config that remembers which of its fields were read.
pub struct Fields<'a> {
    path: String,
    object: &'a Map<String, Value>,
    /// The reference's classes that it belongs to: what it leaves out is what they say.
    classes: Vec<&'static Class>,
    read: RefCell<BTreeSet<String>>,
    log: &'a Log,
}

/// Fields that say how rotary positions are scaled, and belong into an object of their own.
const OF_ROTATION: &[&str] = &[
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "factor",
    "mrope_section",
    "original_max_position_embeddings",
    "rope_type",
    "type",
];

/// What a part is that a config does not have.
static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

impl<'a> Fields<'a> {
    pub fn new(path: &str, value: &'a Value, log: &'a Log) -> Result<Self, ConfigError> {
        let object = value.as_object().ok_or_else(|| ConfigError::Value {
            field: path.to_owned(),
            expected: "an object".to_owned(),
            found: kind(value),
        })?;
        Ok(Self::of_object(path, object, log))
    }

    fn of_object(path: &str, object: &'a Map<String, Value>, log: &'a Log) -> Self {
        Self {
            path: path.to_owned(),
            object,
            classes: Vec::new(),
            read: RefCell::default(),
            log,
        }
    }

    /// The same as an object of the reference's class `name`: fields that it leaves out have the class's defaults, and fields of
    /// the class that are not read must have them.
    pub fn of(mut self, name: &str) -> Self {
        self.classes.push(Class::named(name));
        self
    }

    /// `key` with the path to it, as errors name it.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The value of `key`, or its class's default where it is absent or null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        let own = self.own(key);
        let default = |class: &&'static Class| class.default(key, self.log.version());
        own.or_else(|| self.classes.iter().find_map(default))
    }

    /// The value of `key` in the file, unless it is absent or null.
    pub fn own(&self, key: &str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(key.to_owned());
        self.object.get(key).filter(|v| !v.is_null())
    }

    /// Whether the file says that `key` is null.
    pub fn is_null(&self, key: &str) -> bool {
        self.object.get(key).is_some_and(Value::is_null)
    }

    /// Names of all fields.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.object.keys().map(String::as_str)
    }

    pub fn warn(&self, warning: ModelWarning) {
        self.log.warn(warning);
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

    /// A token id that must be there.
    pub fn id(&self, key: &str) -> Result<u32, ConfigError> {
        self.required(key, self.id_or(key)?)
    }

    pub fn id_or(&self, key: &str) -> Result<Option<u32>, ConfigError> {
        let read = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        self.typed(key, "a token id", read)
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

    /// An activation by the name that libraries give it.
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

    /// Sides of a picture or a patch, rows first: one number for a square, or two.
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

    /// Finite numbers.
    pub fn numbers(&self, key: &str) -> Result<Vec<f64>, ConfigError> {
        let read = |v: &Value| {
            let number = |n: &Value| n.as_f64().filter(|n| n.is_finite());
            v.as_array()?.iter().map(number).collect()
        };
        self.required(key, self.typed(key, "a list of finite numbers", read)?)
    }

    /// The object under `key`.
    pub fn object(&self, key: &str) -> Result<Option<Fields<'a>>, ConfigError> {
        let own = self.own(key);
        own.map(|v| Fields::new(&self.name(key), v, self.log)).transpose()
    }

    /// The object under `key`: where it is absent, one without fields.
    pub fn part(&self, key: &str) -> Result<Fields<'a>, ConfigError> {
        let part = self.object(key)?;
        Ok(part.unwrap_or_else(|| Fields::of_object(&self.name(key), &NOTHING, self.log)))
    }

    /// Fails unless `key` is absent or one of `allowed`.
    pub fn only(&self, key: &str, allowed: &[Value]) -> Result<(), ConfigError> {
        match self.get(key) {
            Some(value) if !allowed.iter().any(|a| same(a, value)) => Err(ConfigError::Value {
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

    /// Fails where one of `keys` is there and says anything: fields that the reference reads and that no class of the table has.
    pub fn refuse(&self, keys: &[&str]) -> Result<(), ConfigError> {
        let says = |value: &Value| match value {
            Value::Bool(flag) => *flag,
            Value::String(text) => !text.is_empty(),
            Value::Object(object) => !object.is_empty(),
            _ => true,
        };
        for key in keys {
            if let Some(value) = self.own(key).filter(|value| says(value)) {
                return Err(ConfigError::Value {
                    field: self.name(key),
                    expected: "none".to_owned(),
                    found: shortened(value),
                });
            }
        }
        Ok(())
    }

    /// Counts as read what repeats a field that was read in `original`: some writers keep the decoder's fields both on the top
    /// level and inside.
    ///
    /// # Errors
    /// A copy that says something else.
    pub fn accept_copies(&self, original: &Fields) -> Result<(), ConfigError> {
        let (mut read, known) = (self.read.borrow_mut(), original.read.borrow());
        for (key, value) in self.object {
            let Some(first) = original.object.get(key).filter(|_| known.contains(key)) else {
                continue;
            };
            if read.contains(key) || accepted(key) || value.is_null() || first.is_null() {
                continue;
            }
            if !same(first, value) {
                return Err(ConfigError::Value {
                    field: self.name(key),
                    expected: format!("{} as in `{}`", shortened(first), original.name(key)),
                    found: shortened(value),
                });
            }
            read.insert(key.clone());
        }
        Ok(())
    }

    /// Ends the reading of an object. Of the fields that were not read, those that are known not to reach the computation are
    /// accepted, those that are in `harmless` among them; fields of the object's classes must have their defaults; every other
    /// field is a warning, since the reference does not read it either.
    ///
    /// # Errors
    /// A field of a class that is not read and not at its default.
    pub fn finish(self, family: &str, harmless: &[&str]) -> Result<(), ConfigError> {
        let (read, mut misplaced) = (self.read.borrow(), Vec::new());
        for (key, value) in self.object {
            let key = key.as_str();
            let known = read.contains(key) || accepted(key) || harmless.contains(&key);
            let default = self.classes.iter().any(|class| class.is_default(key, value));
            if value.is_null() || known || default || is_base_default(key, value) {
                continue;
            }
            if of_base(key) && !self.classes.is_empty() {
                return Err(ConfigError::Value {
                    field: self.name(key),
                    expected: "what it is in every such model".to_owned(),
                    found: shortened(value),
                });
            }
            if let Some(class) = self.classes.iter().find(|class| class.has(key)) {
                let default = class.default(key, self.log.version());
                return Err(ConfigError::Value {
                    field: self.name(key),
                    expected: default.map_or_else(|| "none".to_owned(), Value::to_string),
                    found: shortened(value),
                });
            }
            if OF_ROTATION.contains(&key) && !self.path.contains("rope_") {
                misplaced.push(self.name(key));
                continue;
            }
            self.log.warn(ModelWarning::UnknownField {
                field: self.name(key),
                value: shortened(value),
                family: family.to_owned(),
            });
        }
        if !misplaced.is_empty() {
            self.log.warn(ModelWarning::Misplaced {
                fields: misplaced,
                place: self.name("rope_scaling"),
            });
        }
        Ok(())
    }
}

/// Fields of the base class that change what is computed where they are not what they are in every model of ours.
fn of_base(field: &str) -> bool {
    matches!(field, "add_cross_attention" | "is_decoder" | "pruned_heads")
}

fn is_base_default(field: &str, value: &Value) -> bool {
    of_base(field) && (*value == Value::Bool(false) || value.as_object().is_some_and(Map::is_empty))
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
