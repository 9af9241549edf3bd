//! The mixture of modality experts (Bao et al. 2021): layers with experts for texts, for pictures and for both, pretrained in
//! stages (sections 3.2 to 3.4).

use candle_core::Tensor;

use super::single_stream::SingleStream;
use crate::error::ModelError;
use crate::states::States;
use crate::visual_input::{Texts, VisualInput};

/// A stage of pretraining. The layers are initialised from a model of pictures alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PretrainingStage {
    /// Texts alone; parts shared with pictures stay frozen.
    Texts,
    /// Texts with their pictures.
    Pairs,
}

/// A model that encodes texts and pictures together and apart.
pub trait ModalityExperts: SingleStream {
    /// Texts alone, by the text experts of all layers.
    fn encode_texts(&self, texts: &Texts) -> Result<States, ModelError>;

    /// Scaled cosines of every picture with every text, `[pictures, texts]`, each encoded alone: first by the experts of its own
    /// modality in all layers, then with the vision-language experts in the upper layers.
    fn similarities(&self, visual: &VisualInput, texts: &Texts) -> Result<[Tensor; 2], ModelError>;

    /// Whether a stage trains the tensor with this name.
    fn trains(&self, stage: PretrainingStage, name: &str) -> bool;
}
