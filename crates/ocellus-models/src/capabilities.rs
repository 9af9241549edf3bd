//! What a model may be able to do beside continuing text.

use candle_core::Tensor;

use crate::error::ModelError;
use crate::visual_input::{Regions, Texts, VisualInput};

/// How well a text and a picture fit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairScore {
    /// Probability that they belong together, from a head trained to tell.
    pub matched: Option<f32>,
    /// Cosine of their embeddings.
    pub similarity: Option<f32>,
}

/// Image-text matching.
pub trait ImageTextMatcher {
    /// Text `i` with picture `i`.
    fn scores(&self, visual: &VisualInput, texts: &Texts) -> Result<Vec<PairScore>, ModelError>;
}

/// A joint embedding space of pictures and texts.
pub trait Embedder {
    /// `[pictures, width]`, of norm 1 each.
    fn pictures(&self, visual: &VisualInput) -> Result<Tensor, ModelError>;
    /// `[texts, width]`, of norm 1 each.
    fn texts(&self, texts: &Texts) -> Result<Tensor, ModelError>;
    /// What cosines are multiplied by before a softmax over texts.
    fn scale(&self) -> Result<f32, ModelError>;
}

/// Visual question answering over a fixed list of answers.
pub trait Classifier {
    /// Question `i` about picture `i` → logits `[questions, answers]`.
    fn answers(&self, visual: &VisualInput, questions: &Texts) -> Result<Tensor, ModelError>;
    /// The answers' texts, as far as the config has them.
    fn labels(&self) -> &[String];
}

/// Masked language modelling.
pub trait MlmHead {
    /// Text `i` with picture `i` → logits over the vocabulary for every token of the texts, packed `[tokens, vocab]`.
    fn token_logits(&self, visual: &VisualInput, texts: &Texts) -> Result<Tensor, ModelError>;
}

/// Masked region modelling.
pub trait MaskedRegionHead {
    /// Text `i` with picture `i`, whose regions `masked[i]` are masked → predictions for the masked regions, in order.
    fn predictions(
        &self,
        visual: &VisualInput,
        texts: &Texts,
        masked: &[&[usize]],
    ) -> Result<RegionPredictions, ModelError>;
}

/// What masked regions are predicted to be.
#[derive(Clone, Debug)]
pub struct RegionPredictions {
    /// Logits of the detector's classes, `[masked, classes]`, from models that were trained to tell classes.
    pub classes: Option<Tensor>,
    /// Features as the detector would give them, `[masked, width]`, from models that were trained to give features.
    pub features: Option<Tensor>,
}

/// Word-region alignment by optimal transport.
pub trait WordRegionAligner {
    /// Text `i` with picture `i`.
    fn alignments(&self, visual: &VisualInput, texts: &Texts) -> Result<Vec<Alignment>, ModelError>;
}

/// Which words of a text go with which regions of a picture.
#[derive(Clone, Debug)]
pub struct Alignment {
    /// How much of each token goes with each region, `[tokens, regions]`; all of it adds up to 1.
    pub plan: Tensor,
    /// What the plan costs: 0 when all words lie on their regions, 2 when all are opposite.
    pub distance: f32,
}

/// Object detection.
pub trait Detector {
    /// What is in a picture, given as `planes [3, height, width]` by the recipe of the model's input and with the
    /// `(height, width)` in px that it had before; most confident first.
    fn detect(&self, planes: &Tensor, size: (u32, u32)) -> Result<Detections, ModelError>;
}

/// What a detector found in a picture.
#[derive(Clone, Debug)]
pub struct Detections {
    pub regions: Regions,
    /// What each region most likely is.
    pub objects: Vec<ClassScore>,
    /// What each region is most likely like.
    pub attributes: Vec<ClassScore>,
}

/// One of the classes that a detector was trained to tell, and how likely it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScore {
    pub class: u32,
    pub probability: f32,
}
