//! A loaded model of any family: facts, input, capabilities.

use crate::capabilities::{
    Classifier, Detector, Embedder, ImageTextMatcher, MaskedRegionHead, MlmHead, WordRegionAligner,
};
use crate::error::ModelError;
use crate::facts::Facts;
use crate::input::InputSpec;
use crate::vlm::Vlm;

/// A loaded model. Each capability is a method that returns `None` where the family or the checkpoint lacks it.
pub trait Model: Send + Sync {
    fn facts(&self) -> &Facts;

    fn input(&self) -> InputSpec {
        InputSpec::default()
    }

    /// Continues text: answers, captions.
    fn generator(&self) -> Option<&dyn Vlm> {
        None
    }

    /// Scores how well texts and pictures fit.
    fn matcher(&self) -> Option<&dyn ImageTextMatcher> {
        None
    }

    /// Embeds texts and pictures in one space.
    fn embedder(&self) -> Option<&dyn Embedder> {
        None
    }

    /// Answers questions from a fixed list.
    fn classifier(&self) -> Option<&dyn Classifier> {
        None
    }

    /// Predicts masked tokens of a text.
    fn mlm_head(&self) -> Option<&dyn MlmHead> {
        None
    }

    /// Predicts masked regions of a picture.
    fn masked_region_head(&self) -> Option<&dyn MaskedRegionHead> {
        None
    }

    /// Aligns words with regions.
    fn aligner(&self) -> Option<&dyn WordRegionAligner> {
        None
    }

    /// Finds regions in pictures.
    fn detector(&self) -> Option<&dyn Detector> {
        None
    }
}

/// A model whose capability to generate text has been checked.
pub struct Generator(Box<dyn Model>);

impl Generator {
    /// Fails when the model does not generate text.
    pub fn new(model: Box<dyn Model>) -> Result<Self, ModelError> {
        if model.generator().is_none() {
            let family = model.facts().family;
            return Err(ModelError::input(
                "the model",
                "one that continues text",
                format!("one of family `{family}` that does not"),
            ));
        }
        Ok(Self(model))
    }

    pub fn vlm(&self) -> &dyn Vlm {
        self.0.generator().expect("checked when it was made")
    }

    pub fn model(&self) -> &dyn Model {
        self.0.as_ref()
    }
}
