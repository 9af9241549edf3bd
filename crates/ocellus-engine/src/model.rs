//! How an engine holds its model.

use std::sync::Arc;

use ocellus_models::{Model, ModelError, Vlm};

/// A model that continues text, lent or shared.
#[derive(Clone)]
pub enum ModelHandle<'m> {
    Lent(&'m dyn Vlm),
    Shared(SharedVlm),
}

/// A shared model that was found to continue text.
#[derive(Clone)]
pub struct SharedVlm(Arc<dyn Model>);

impl ModelHandle<'_> {
    /// Fails when the model does not continue text.
    pub fn shared(model: Arc<dyn Model>) -> Result<ModelHandle<'static>, ModelError> {
        match model.generator() {
            Some(_) => Ok(ModelHandle::Shared(SharedVlm(model))),
            None => Err(ModelError::input(
                "the model",
                "one that continues text",
                format!("one of family `{}` that does not", model.facts().family),
            )),
        }
    }

    pub fn vlm(&self) -> &dyn Vlm {
        match self {
            Self::Lent(vlm) => *vlm,
            Self::Shared(SharedVlm(model)) => model.generator().expect("checked when it was made"),
        }
    }
}

impl<'m> From<&'m dyn Vlm> for ModelHandle<'m> {
    fn from(vlm: &'m dyn Vlm) -> Self {
        Self::Lent(vlm)
    }
}
