//! Pretraining from scratch (section 3.2 of the paper): both towers with slow copies, and a decoder that shares the text encoder's
//! tensors except those of self-attention. Tensors have the library's names; the copies' end in `_m`.

use candle_core::{Tensor, Var};
use ocellus_nn::attention::Batch;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::{Params, Taps};
use std::sync::Arc;

use super::FAMILY;
use super::fields::{size, token};
use super::retrieval::{Retrieval, unit};
use super::text::Text;
use super::towers::{Packed, Towers};
use super::vision::Vision;
use crate::config::{ConfigError, Fields};
use crate::fusion::{Followed, Grounded, Queues, States, TwoTowers};
use crate::model::{Embedder, Matcher, Model, Sees, Texts};
use crate::vlm::{Facts, ModelError};
use ocellus_text::TextForm;

/// Parts that have a slow copy.
const FOLLOWED: &[&str] = &["vision_model", "vision_proj", "text_encoder", "text_proj"];

/// Whose tensor a decoder's tensor is: the encoder's, but for self-attention with its norm and for the head.
pub(super) fn shared(name: &str) -> Option<String> {
    let rest = name.strip_prefix("text_decoder.bert.")?;
    (!rest.contains(".attention.")).then(|| format!("text_encoder.{rest}"))
}

/// Fields of pretraining.
pub(super) struct Spec {
    /// Pairs whose features are remembered.
    queue: usize,
    /// Where the temperature starts.
    temperature: f64,
    /// The first token of texts that are read with a picture.
    reads: u32,
}

impl Spec {
    pub fn read(top: &Fields, text: &Text) -> Result<Self, ConfigError> {
        Ok(Self {
            queue: size(top, "queue_size", 57600)?,
            temperature: top.number_or("temp", 0.07)?,
            reads: token(top, "enc_token_id", text.start + 1)?,
        })
    }
}

pub(super) struct Pretraining {
    student: Retrieval,
    decoder: Decoder,
    temperature: Tensor,
    teacher: Option<(Towers, Queues)>,
    start: u32,
    reads: u32,
}

impl Pretraining {
    pub fn load(
        p: &Params,
        vision: &Vision,
        text: &Text,
        joint: usize,
        spec: &Spec,
    ) -> Result<Self, ModelError> {
        let scratch = p.trainable() && !p.contains("text_proj.weight");
        let widths = (vision.width(), joint);
        let pictures = |p: &Params| vision.load_as(p, FAMILY.id, text.positions);
        let temperature = p.tensor("temp", &[])?;
        if scratch {
            let start = Tensor::new(spec.temperature as f32, temperature.device())?;
            Var::from_tensor(&temperature)?.set(&start)?;
        }
        let teacher = || -> Result<_, ModelError> {
            let p = p.untrained();
            let towers = Towers::load(&p, pictures(&p.at("vision_model_m"))?, text, widths, "_m")?;
            Ok((towers, queues(&p, [joint, spec.queue], scratch)?))
        };
        let followed = p.trainable() && (scratch || p.contains("text_proj_m.weight"));
        let scale = 1.0 / temperature.to_scalar::<f32>()?;
        Ok(Self {
            student: Retrieval::load(p, pictures(&p.at("vision_model"))?, text, widths, scale)?,
            decoder: text.decoder(&p.sharing(shared).at("text_decoder"))?,
            teacher: followed.then(teacher).transpose()?,
            temperature,
            start: text.start,
            reads: spec.reads,
        })
    }
}

/// Queues of `[features, entries]`; drawn at random, their columns are given the length 1 that features have.
fn queues(p: &Params, shape: [usize; 2], scratch: bool) -> Result<Queues, ModelError> {
    let queue = |name| -> Result<_, ModelError> {
        let queue = p.tensor(name, &shape)?;
        match scratch {
            true => Ok(unit(&queue.t()?)?.t()?.contiguous()?),
            false => Ok(queue),
        }
    };
    let next = p.integers("queue_ptr", 1)?[0];
    let within = usize::try_from(next).ok().filter(|next| *next < shape[1]);
    let expected = || format!("a column of {}", shape[1]);
    Ok(Queues {
        pictures: queue("image_queue")?,
        texts: queue("text_queue")?,
        next: within.ok_or_else(|| ModelError::input("tensor `queue_ptr`", expected(), next))?,
    })
}

impl Model for Pretraining {
    fn facts(&self) -> &Facts {
        self.student.facts()
    }

    fn sees(&self) -> Sees {
        self.student.sees()
    }

    fn form(&self) -> TextForm {
        self.student.form()
    }

    fn matcher(&self) -> Option<&dyn Matcher> {
        self.student.matcher()
    }

    fn embedder(&self) -> Option<&dyn Embedder> {
        self.student.embedder()
    }

    fn grounded(&self) -> Option<&dyn Grounded> {
        self.teacher.as_ref().map(|_| self as &dyn Grounded)
    }
}

impl Followed for Pretraining {
    fn temperature(&self) -> &Tensor {
        &self.temperature
    }

    fn follower(&self, name: &str) -> Option<String> {
        let (part, rest) = name.split_once('.')?;
        FOLLOWED.contains(&part).then(|| format!("{part}_m.{rest}"))
    }

    fn queues(&self) -> &Queues {
        &self.teacher.as_ref().expect("it has queues where it learns").1
    }
}

impl Grounded for Pretraining {
    fn student(&self) -> &dyn TwoTowers {
        &self.student.towers
    }

    fn teacher(&self) -> &dyn TwoTowers {
        &self.teacher.as_ref().expect("it has a teacher where it learns").0
    }

    fn matches(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError> {
        let texts = started(texts, self.reads);
        let packed = Packed::of(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let read = self
            .student
            .towers
            .grounded(&packed, pictures, &mut Taps::none())?;
        self.student.matches(&read)
    }

    fn following(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError> {
        let texts = started(texts, self.start);
        let lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
        let positions = lengths
            .iter()
            .flat_map(|n| (0..*n as i64).map(|place| [place; 3]));
        let memory = self.decoder.remember(&pictures.rows, &pictures.lengths)?;
        let batch = Batch {
            memory: Some(Arc::new(memory)),
            ..Batch::of(lengths.clone())
        };
        let positions: Vec<[i64; 3]> = positions.collect();
        let x = self.decoder.embed(&texts.concat())?;
        let hidden = self
            .decoder
            .forward(&x, &positions, &batch, None, &mut Taps::none())?;
        Ok(self.decoder.logits(&hidden)?)
    }
}

/// The texts with another first token.
fn started(texts: &Texts, first: u32) -> Vec<Vec<u32>> {
    let started = |text: &&[u32]| match text {
        [_, words @ ..] => [&[first], words].concat(),
        [] => Vec::new(),
    };
    texts.iter().map(started).collect()
}

#[cfg(test)]
mod tests {
    use super::shared;

    #[test]
    fn everything_but_self_attention_and_the_head_is_the_encoders() {
        for (name, whose) in [
            ("bert.embeddings.word_embeddings.weight", true),
            ("bert.embeddings.LayerNorm.bias", true),
            ("bert.encoder.layer.3.attention.self.query.weight", false),
            ("bert.encoder.layer.3.attention.output.LayerNorm.weight", false),
            ("bert.encoder.layer.3.crossattention.self.key.bias", true),
            ("bert.encoder.layer.3.crossattention.output.dense.weight", true),
            ("bert.encoder.layer.3.intermediate.dense.weight", true),
            ("bert.encoder.layer.3.output.dense.weight", true),
            ("cls.predictions.bias", false),
        ] {
            let encoders = name.replace("bert.", "text_encoder.");
            assert_eq!(shared(&format!("text_decoder.{name}")), whose.then_some(encoders));
        }
        assert_eq!(shared("text_encoder.embeddings.word_embeddings.weight"), None);
    }
}
