//! Errors of adapters as a user meets them: the sentence and what to do about it.

use ocellus_models::adapter::AdapterError;

use crate::error::Failure;

impl From<AdapterError> for Failure {
    fn from(error: AdapterError) -> Self {
        let hint = match error {
            AdapterError::Weights(error) => return error.into(),
            AdapterError::Json(_) | AdapterError::NoKind => {
                "an adapter's folder is what PEFT's save_pretrained writes; adapters of other programs are not read"
            }
            AdapterError::Kind { .. } | AdapterError::Dora { .. } => {
                "merge it with PEFT (merge_and_unload) and name the merged model"
            }
            AdapterError::Unsupported {
                field: "init_lora_weights",
                ..
            } => {
                "save it once more with PEFT's path_initial_model_for_weight_conversion, or merge it there \
                 (merge_and_unload) and name the merged model"
            }
            AdapterError::Unsupported { .. } | AdapterError::Shared { .. } => {
                "merge it with PEFT (merge_and_unload) and name the merged model"
            }
            AdapterError::Value { .. } => "the file was changed, or is of a version that is not known here",
            AdapterError::Several { .. } => "save each adapter in a folder of its own, and name one",
            AdapterError::Empty | AdapterError::Half { .. } | AdapterError::Tensor { .. } => {
                "the adapter was not saved whole; save it again where it was trained"
            }
            AdapterError::Shape { .. } | AdapterError::NoTarget { .. } => {
                "the adapter belongs to another base: name that one with --base"
            }
            AdapterError::NotNamed { .. } => {
                "its config and its tensors do not belong together; take both from one place"
            }
        };
        Self::new(&error).hint(hint)
    }
}
