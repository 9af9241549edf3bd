//! What training in stages asks of a model whose layers have experts for texts, for pictures and for both (Bao et al. 2021,
//! sections 3.2 to 3.4).

use candle_core::Tensor;

use crate::fusion::States;
use crate::model::{Sight, Texts};
use crate::single_stream::SingleStream;
use crate::vlm::ModelError;

/// A stage of pretraining. Before the first, layers come from a model of pictures alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Texts alone: what texts and pictures share stays as pictures have left it.
    Texts,
    /// Texts with their pictures.
    Pairs,
}

/// A model that reads texts and pictures together and apart.
pub trait Experts: SingleStream {
    /// Texts alone, by their experts to the top.
    fn alone(&self, texts: &Texts) -> Result<States, ModelError>;

    /// Scaled cosines of every picture with every text, `[pictures, texts]`, each read alone: first by their own experts to the
    /// top, then by the joint experts in the upper layers.
    fn similarities(&self, sight: &Sight, texts: &Texts) -> Result<[Tensor; 2], ModelError>;

    /// Whether a stage changes the tensor of this name.
    fn trains(&self, stage: Stage, name: &str) -> bool;
}
