//! A config as it was parsed, with what was noticed while it is read.

use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};

use super::class::{Version, parse_version};
use super::error::ConfigError;
use super::fields::Fields;
use super::warning::ModelWarning;

/// A config, parsed. It is read like its [`Value`].
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    value: Value,
    log: Log,
}

/// What is noticed while a config is read, and who wrote it.
#[derive(Clone, Debug, Default)]
pub struct Log {
    warnings: RefCell<BTreeSet<ModelWarning>>,
    pub(super) version: Option<Version>,
}

impl Log {
    pub fn warn(&self, warning: ModelWarning) {
        self.warnings.borrow_mut().insert(warning);
    }
}

impl ConfigFile {
    /// Its top level, to be read.
    ///
    /// # Errors
    /// A config that is no object.
    pub fn fields(&self) -> Result<Fields<'_>, ConfigError> {
        Fields::new("", &self.value, &self.log)
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What was noticed so far, each once.
    pub fn warnings(&self) -> Vec<ModelWarning> {
        self.log.warnings.borrow().iter().cloned().collect()
    }

    /// # Errors
    /// The first of the warnings.
    pub fn strict(&self) -> Result<(), ConfigError> {
        match self.log.warnings.borrow().first() {
            Some(warning) => Err(ConfigError::Strict(warning.clone())),
            None => Ok(()),
        }
    }
}

impl From<Value> for ConfigFile {
    fn from(value: Value) -> Self {
        let version = value.get("transformers_version").and_then(Value::as_str);
        let log = Log {
            version: version.and_then(parse_version),
            ..Log::default()
        };
        Self { value, log }
    }
}

impl From<ConfigFile> for Value {
    fn from(config: ConfigFile) -> Self {
        config.value
    }
}

impl Deref for ConfigFile {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.value
    }
}

impl DerefMut for ConfigFile {
    fn deref_mut(&mut self) -> &mut Value {
        &mut self.value
    }
}
