//! Shared test code of the families: configs and models of golden cases, unchanged or with one field changed.

use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device};
use ocellus_nn::{Frozen, Params, Precision};
use ocellus_testkit::Case;
use ocellus_weights::Weights;
use serde_json::Value;

use crate::config::{ConfigError, ConfigFile};
use crate::error::ModelError;
use crate::model::Model;

/// The config of a case, whichever of the two files it has.
pub fn config(case: &str) -> ConfigFile {
    let dir = Case::golden(case).model_dir();
    let paths = ["config.json", "params.json"].map(|name| dir.join(name));
    let path = paths.iter().find(|path| path.exists()).expect("a config");
    super::registry::parse(&std::fs::read_to_string(path).expect("text")).expect("JSON")
}

/// `config` with the field at a dotted path set, or removed without a value.
pub fn with(mut config: ConfigFile, path: &str, value: Option<Value>) -> ConfigFile {
    let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
    let parents = parents.split('.').filter(|p| !p.is_empty());
    let object = parents.fold(&mut *config, |at, parent| &mut at[parent]);
    let object = object.as_object_mut().expect("the path leads to an object");
    match value {
        Some(value) => drop(object.insert(key.to_owned(), value)),
        None => drop(object.remove(key).expect("there is something to remove")),
    }
    config
}

/// The tensors of a case.
pub fn params(case: &str) -> Params {
    let weights = Weights::open(&Case::golden(case).model_dir()).expect("the checkpoint opens");
    let source = Frozen::new(Arc::new(weights), Device::Cpu, DType::F32);
    Params::new(Rc::new(source), Precision::F32)
}

/// The model of a case with this config.
pub fn load(case: &str, config: &ConfigFile) -> Result<Box<dyn Model>, ModelError> {
    (super::registry::find(config)?.load)(config, &params(case))
}

/// The field that a config error names.
pub fn field(error: ConfigError) -> String {
    match error {
        ConfigError::Missing { field } | ConfigError::Value { field, .. } => field,
        other => panic!("not about a field: {other}"),
    }
}
