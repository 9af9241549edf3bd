//! Why an adapter was refused, and what a user should know of one that was applied.

/// Why an adapter cannot be applied to its base.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    #[error("the adapter's config is not valid JSON: {0}")]
    Json(String),
    #[error("adapter_config.json says no `peft_type`, so it is not an adapter in the layout of PEFT")]
    NoKind,
    #[error("the adapter is of the kind `{kind}`, and only LORA adapters are applied")]
    Kind { kind: String },
    #[error("adapter_config.json: `{field}` is {found}, expected {expected}")]
    Value {
        field: String,
        expected: String,
        found: String,
    },
    #[error("the adapter uses {what} (`{field}` in adapter_config.json), which is not applied")]
    Unsupported { field: &'static str, what: &'static str },
    #[error("the adapter holds DoRA magnitudes, `{tensor}`, which are not applied")]
    Dora { tensor: String },
    #[error("the adapter's file holds several adapters, {}, and one is applied", .names.join(", "))]
    Several { names: Vec<String> },
    #[error("the adapter's file holds no tensors of an adapter")]
    Empty,
    #[error("the adapter's tensor `{tensor}` is of no kind that is known")]
    Tensor { tensor: String },
    #[error("the adapter has `{has}` for `{module}` but not `{lacks}`")]
    Half {
        module: String,
        has: &'static str,
        lacks: &'static str,
    },
    #[error("the adapter's tensor `{tensor}` has the shape {found:?}, expected {expected}")]
    Shape {
        tensor: String,
        expected: String,
        found: Vec<usize>,
    },
    #[error("the adapter is for `{module}`, which its base does not have")]
    NoTarget { module: String },
    #[error("the adapter holds tensors for `{module}`, and its {} does not name it", .field)]
    NotNamed { module: String, field: &'static str },
    #[error(
        "the adapter changes `{module}`, which its base shares with its output head or with other layers"
    )]
    Shared { module: String },
    #[error(transparent)]
    Weights(#[from] ocellus_weights::WeightsError),
}

/// What a user should know of an adapter that is applied all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdapterWarning {
    #[error(
        "adapter_config.json: the field `{field}` = {value} is not known, and the adapter is applied without it"
    )]
    UnknownField { field: String, value: String },
    #[error("the adapter names `{target}` in its target_modules and has no tensors for it")]
    NoTensors { target: String },
    #[error("the adapter's tensor `{tensor}` belongs to nothing that its base has, and is not used")]
    ExtraTensor { tensor: String },
    #[error(
        "the adapter was made beside a base that LoftQ had quantised; beside another base it computes something else"
    )]
    Loftq,
}
