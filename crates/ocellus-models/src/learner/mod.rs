//! Models in training. A learner is a model with what only its training needs: an EMA teacher, queues, heads that published
//! checkpoints lack.

pub mod encoder_decoder_mixture;
pub mod modality_experts;
pub mod momentum_contrast;
pub mod momentum_distillation;
pub mod qformer;
pub mod single_stream;

use crate::model::Model;

use encoder_decoder_mixture::EncoderDecoderMixture;
use modality_experts::ModalityExperts;
use momentum_distillation::MomentumDistillation;
use qformer::QFormerPretraining;
use single_stream::SingleStream;

/// A model in training.
pub trait Learner {
    /// The model that inference uses.
    fn model(&self) -> &dyn Model;

    /// The objective that the model is trained with.
    fn objective(&self) -> Objective<'_>;
}

/// A training objective with the model that it is applied to.
pub enum Objective<'a> {
    MomentumDistillation(&'a dyn MomentumDistillation),
    EncoderDecoderMixture(&'a dyn EncoderDecoderMixture),
    SingleStream(&'a dyn SingleStream),
    ModalityExperts(&'a dyn ModalityExperts),
    QFormer(&'a dyn QFormerPretraining),
}
