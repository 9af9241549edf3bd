//! Tensors of the first training stage that published files lack: the temperature and a next-token head (section 3.2 of the
//! paper).

use candle_core::{Tensor, Var};
use ocellus_nn::embeddings::MaskedWords;
use ocellus_nn::{Mlp, Params, Taps, qformer};

use super::retrieval::{Reading, Retrieval, TEMPERATURE};
use crate::error::ModelError;
use crate::learner::qformer::QFormerPretraining;
use crate::learner::{Learner, Objective};
use crate::model::Model;
use crate::states::States;
use crate::visual_input::{Texts, VisualInput};

/// Tensor `temp` and, under `cls.predictions`, a next-token head that is tied to the token embedding table.
struct FirstStage {
    model: Retrieval,
    temperature: Tensor,
    head: MaskedWords,
}

/// Whether the parameters are empty, so that everything that training needs has to be initialised.
fn starts_empty(p: &Params) -> bool {
    p.trainable() && !p.contains("query_tokens")
}

/// Whether the checkpoint has the tensors of this stage; published files do not.
pub fn is_there(p: &Params) -> bool {
    starts_empty(p) || p.contains("temp")
}

pub fn load(p: &Params, model: Retrieval, spec: &qformer::Spec) -> Result<Box<dyn Learner>, ModelError> {
    let temperature = p.tensor("temp", &[])?;
    if starts_empty(p) {
        let start = Tensor::new(TEMPERATURE, temperature.device())?;
        Var::from_tensor(&temperature)?.set(&start)?;
    }
    let (Mlp::Plain { act, .. } | Mlp::Gated { act, .. }) = spec.mlp;
    let head = p.at("cls").at("predictions");
    Ok(Box::new(FirstStage {
        head: MaskedWords::load(&head, &model.words, act, spec.norm)?,
        temperature,
        model,
    }))
}

impl Learner for FirstStage {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn objective(&self) -> Objective<'_> {
        Objective::QFormer(self)
    }
}

impl QFormerPretraining for FirstStage {
    fn pictures(&self, visual: &VisualInput) -> Result<States, ModelError> {
        let (rows, lengths) = self.model.see(visual)?;
        Ok(States { rows, lengths })
    }

    fn query_features(&self, pictures: &States) -> Result<Tensor, ModelError> {
        self.model.query_features(&pictures.rows, &pictures.lengths)
    }

    fn text_features(&self, texts: &Texts) -> Result<Tensor, ModelError> {
        self.model.text_features(texts)
    }

    fn temperature(&self) -> Result<&Tensor, ModelError> {
        Ok(&self.temperature)
    }

    fn matching_logits(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError> {
        let seen = (&pictures.rows, &pictures.lengths[..]);
        let states = self
            .model
            .together(texts, seen, Reading::Whole, &mut Taps::none())?;
        self.model.matching(&states, texts)
    }

    fn next_token_logits(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError> {
        let seen = (&pictures.rows, &pictures.lengths[..]);
        let states = self
            .model
            .together(texts, seen, Reading::Continuing, &mut Taps::none())?;
        let (count, mut first, mut tokens) = (
            self.model.picture_queries.count(),
            0,
            Vec::with_capacity(texts.len()),
        );
        for text in texts {
            tokens.push(states.narrow(0, first + count, text.len())?);
            first += count + text.len();
        }
        Ok(self.head.forward(&Tensor::cat(&tokens, 0)?)?)
    }
}
