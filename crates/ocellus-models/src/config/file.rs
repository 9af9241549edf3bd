//! A config as it was parsed, with what was noticed while it is read.

use serde_json::Value;
use std::ops::{Deref, DerefMut};

use super::class::parse_version;
use super::error::ConfigError;
use super::fields::Fields;
use super::log::Log;
use super::warning::ModelWarning;

/// A config, parsed. It is read like its [`Value`].
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    value: Value,
    log: Log,
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
        self.log.all()
    }

    /// # Errors
    /// The first of the warnings.
    pub fn strict(&self) -> Result<(), ConfigError> {
        match self.warnings().into_iter().next() {
            Some(warning) => Err(ConfigError::Strict(warning)),
            None => Ok(()),
        }
    }
}

impl From<Value> for ConfigFile {
    fn from(value: Value) -> Self {
        let version = value.get("transformers_version").and_then(Value::as_str);
        let log = Log::of(version.and_then(parse_version));
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
