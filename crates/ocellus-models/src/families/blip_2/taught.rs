//! What the first stage of training needs beside what published files hold: a temperature, and a head that continues texts
//! (section 3.2 of the paper).

use candle_core::{Tensor, Var};
use ocellus_nn::embeddings::MaskedWords;
use ocellus_nn::{Mlp, Params, Segment, Taps, qformer};

use super::retrieval::{Reading, Retrieval, TEMPERATURE};
use crate::fusion::States;
use crate::model::{Sight, Texts};
use crate::querying::Querying;
use crate::vlm::ModelError;

/// Tensors `temp` and, under `cls.predictions`, a head over the table of words.
pub struct Taught {
    temperature: Tensor,
    words: MaskedWords,
}

impl Taught {
    /// `None` where a file has not been trained with these tensors. A start from nothing has them.
    pub fn load(p: &Params, words: &Tensor, spec: &qformer::Spec) -> Result<Option<Self>, ModelError> {
        let scratch = p.trainable() && !p.contains("query_tokens");
        if !scratch && !p.contains("temp") {
            return Ok(None);
        }
        let temperature = p.tensor("temp", &[])?;
        if scratch {
            let start = Tensor::new(TEMPERATURE, temperature.device())?;
            Var::from_tensor(&temperature)?.set(&start)?;
        }
        let (Mlp::Plain { act, .. } | Mlp::Gated { act, .. }) = spec.mlp;
        let head = p.at("cls").at("predictions");
        Ok(Some(Self {
            words: MaskedWords::load(&head, words, act, spec.norm)?,
            temperature,
        }))
    }
}

/// What is added to the scores of `queries` and the text behind them: queries see queries, a text's tokens all queries and
/// no later token. `[heads, q_len, k_len]`.
pub fn continuing(
    segment: &Segment,
    queries: usize,
    heads: usize,
    like: &Tensor,
) -> candle_core::Result<Tensor> {
    let length = segment.q_len;
    let score = |(i, j): (usize, usize)| match j < queries || (i >= queries && j <= i) {
        true => 0f32,
        false => f32::NEG_INFINITY,
    };
    let all = (0..length).flat_map(|i| (0..length).map(move |j| (i, j)));
    let one = Tensor::from_iter(all.map(score), like.device())?;
    one.reshape((1, length, length))?.repeat((heads, 1, 1))
}

impl Retrieval {
    fn taught(&self) -> Result<&Taught, ModelError> {
        self.taught
            .as_ref()
            .ok_or_else(|| ModelError::input("the model", "a temperature and a head of words", "neither"))
    }
}

impl Querying for Retrieval {
    fn pictures(&self, sight: &Sight) -> Result<States, ModelError> {
        let (rows, lengths) = self.see(sight)?;
        Ok(States { rows, lengths })
    }

    fn query_features(&self, pictures: &States) -> Result<Tensor, ModelError> {
        Retrieval::query_features(self, &pictures.rows, &pictures.lengths)
    }

    fn text_features(&self, texts: &Texts) -> Result<Tensor, ModelError> {
        Retrieval::text_features(self, texts)
    }

    fn temperature(&self) -> Result<&Tensor, ModelError> {
        Ok(&self.taught()?.temperature)
    }

    fn matches(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError> {
        let seen = (&pictures.rows, &pictures.lengths[..]);
        let states = self.together(texts, seen, Reading::Whole, &mut Taps::none())?;
        self.matching(&states, texts)
    }

    fn next_words(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError> {
        let seen = (&pictures.rows, &pictures.lengths[..]);
        let states = self.together(texts, seen, Reading::Continuing, &mut Taps::none())?;
        let (count, mut first, mut tokens) = (self.look.count(), 0, Vec::with_capacity(texts.len()));
        for text in texts {
            tokens.push(states.narrow(0, first + count, text.len())?);
            first += count + text.len();
        }
        Ok(self.taught()?.words.forward(&Tensor::cat(&tokens, 0)?)?)
    }
}
