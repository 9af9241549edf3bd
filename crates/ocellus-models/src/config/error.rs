//! Why a config was refused.

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
    /// What is a warning without `--strict`.
    #[error("{0}")]
    Strict(super::warning::ModelWarning),
    #[error("no family reads the architecture `{architecture}`; known: {known}")]
    Architecture { architecture: String, known: String },
    #[error("the config names no architecture, by `architectures` or `model_type`; known: {known}")]
    Unnamed { known: String },
}
