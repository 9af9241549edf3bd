//! Capabilities of a model other than continuing text.

use candle_core::Tensor;

use crate::error::ModelError;
use crate::visual_input::{Regions, Texts, VisualInput};

/// How well a text and a picture match. A model fills the scores that it has heads for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairScore {
    /// Probability in `[0, 1]` that they match, from an image-text matching head.
    pub matched: Option<f32>,
    /// Cosine of their embeddings, in `[-1, 1]`.
    pub similarity: Option<f32>,
}

/// Image-text matching.
pub trait ImageTextMatcher {
    /// One score for each pair of text `i` and picture `i`.
    fn scores(&self, visual: &VisualInput, texts: &Texts) -> Result<Vec<PairScore>, ModelError>;
}

/// A joint embedding space of pictures and texts.
pub trait Embedder {
    /// Embeddings `[pictures, width]`, each of norm 1.
    fn pictures(&self, visual: &VisualInput) -> Result<Tensor, ModelError>;
    /// Embeddings `[texts, width]`, each of norm 1.
    fn texts(&self, texts: &Texts) -> Result<Tensor, ModelError>;
    /// The factor (inverse temperature) that cosines are multiplied by before a softmax over texts.
    fn scale(&self) -> Result<f32, ModelError>;
}

/// Visual question answering over a fixed list of answers.
pub trait Classifier {
    /// One row of logits for each pair of question `i` and picture `i`: `[questions, answers]`.
    fn answers(&self, visual: &VisualInput, questions: &Texts) -> Result<Tensor, ModelError>;
    /// The text of every answer, in the order of the logits; empty where the config lists none.
    fn labels(&self) -> &[String];
    /// Whether each answer has a probability of its own, the sigmoid of its logit, and not a share of one.
    fn independent(&self) -> bool {
        false
    }
    /// Pictures of one question.
    fn picture_count(&self) -> usize {
        1
    }
}

/// A masked language modelling (MLM) head.
pub trait MlmHead {
    /// One pair for each text `i` and picture `i`: logits over the vocabulary for every token of the texts, packed `[tokens,
    /// vocab]`.
    fn token_logits(&self, visual: &VisualInput, texts: &Texts) -> Result<Tensor, ModelError>;
}

/// A masked region modelling head.
pub trait MaskedRegionHead {
    /// One pair for each text `i` and picture `i`, whose regions with the indices `masked[i]` are masked: predictions for the
    /// masked regions, in order.
    fn predictions(
        &self,
        visual: &VisualInput,
        texts: &Texts,
        masked: &[&[usize]],
    ) -> Result<RegionPredictions, ModelError>;
}

/// Predictions for masked regions.
#[derive(Clone, Debug)]
pub struct RegionPredictions {
    /// Logits over the detector's classes, `[masked, classes]`, from models trained to predict classes.
    pub classes: Option<Tensor>,
    /// Region features as the detector computes them, `[masked, width]`, from models trained to regress features.
    pub features: Option<Tensor>,
}

/// Word-region alignment by optimal transport.
pub trait WordRegionAligner {
    /// One alignment for each pair of text `i` and picture `i`.
    fn alignments(&self, visual: &VisualInput, texts: &Texts) -> Result<Vec<Alignment>, ModelError>;
}

/// The alignment of the tokens of a text with the regions of a picture.
#[derive(Clone, Debug)]
pub struct Alignment {
    /// The transport plan `[tokens, regions]`: the mass that moves from each token to each region. All entries add up to 1.
    pub plan: Tensor,
    /// The transport cost, the sum of plan times cosine distance: 0 when every token has the same direction as its region, 2 when
    /// all are opposite.
    pub distance: f32,
}

/// Object detection.
pub trait Detector {
    /// Detects the objects of one picture. `planes [3, height, width]` are prepared by the recipe of the model's input; `size` is
    /// the picture's `(height, width)` in px before resizing, the coordinate system of the boxes. The most confident object comes
    /// first.
    fn detect(&self, planes: &Tensor, size: (u32, u32)) -> Result<Detections, ModelError>;
}

/// The objects that a detector found in a picture.
#[derive(Clone, Debug)]
pub struct Detections {
    pub regions: Regions,
    /// The most likely object class of each region.
    pub objects: Vec<ClassScore>,
    /// The most likely attribute class of each region.
    pub attributes: Vec<ClassScore>,
}

/// A class of a detector and its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScore {
    pub class: u32,
    pub probability: f32,
}
