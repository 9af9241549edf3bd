//! Pretraining from scratch (section 3.2 of the paper): both towers with an EMA teacher, and a decoder that shares the text encoder's
//! tensors except those of self-attention. Tensors have the library's names; the teacher's end in `_m`.

use candle_core::{Tensor, Var};
use ocellus_nn::attention::Batch;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::{Params, Taps};
use std::sync::Arc;

use super::features::unit;
use super::fields::ID;
use super::retrieval::Retrieval;
use super::text::TextConfig;
use super::towers::{Packed, Towers};
use super::vision::VisionConfig;
use crate::config::{ConfigError, Fields};
use crate::dual_encoder::DualEncoder;
use crate::error::ModelError;
use crate::learner::encoder_decoder_mixture::EncoderDecoderMixture;
use crate::learner::momentum_contrast::{MomentumContrast, Queues};
use crate::learner::{Learner, Objective};
use crate::model::Model;
use crate::states::States;
use crate::visual_input::Texts;

/// The parts that the EMA teacher has a copy of.
const FOLLOWED: &[&str] = &["vision_model", "vision_proj", "text_encoder", "text_proj"];

/// The name of the encoder's tensor that a decoder's tensor is shared with. `None` for self-attention, its norm and the head,
/// which are the decoder's own.
pub(super) fn shared(name: &str) -> Option<String> {
    let rest = name.strip_prefix("text_decoder.bert.")?;
    (!rest.contains(".attention.")).then(|| format!("text_encoder.{rest}"))
}

/// Settings of pretraining.
pub(super) struct Spec {
    /// Entries of a queue: pairs whose features are kept.
    queue: usize,
    /// The initial temperature.
    temperature: f64,
    /// The first token of texts in the image-grounded text encoder.
    image_grounded: u32,
}

impl Spec {
    pub fn read(top: &Fields, start: u32) -> Result<Self, ConfigError> {
        Ok(Self {
            queue: top.size_or("queue_size")?.unwrap_or(57600),
            temperature: top.number_or("temp", 0.07)?,
            image_grounded: top.id_or("enc_token_id")?.unwrap_or(start + 1),
        })
    }
}

pub(super) struct Pretraining {
    student: Retrieval,
    decoder: Decoder,
    temperature: Tensor,
    teacher: Towers,
    queues: Queues,
    start: u32,
    image_grounded: u32,
}

/// The trained model: the towers with the matching head, the image-grounded text decoder, and the temperature.
pub(super) struct Student {
    pub model: Retrieval,
    decoder: Decoder,
    temperature: Tensor,
}

impl Student {
    pub fn load(
        p: &Params,
        vision: &VisionConfig,
        text: &TextConfig,
        joint: usize,
        spec: &Spec,
    ) -> Result<Self, ModelError> {
        let temperature = p.tensor("temp", &[])?;
        if starts_empty(p) {
            let start = Tensor::new(spec.temperature as f32, temperature.device())?;
            Var::from_tensor(&temperature)?.set(&start)?;
        }
        let pictures = vision.load(p, ID, text.positions)?;
        let scale = 1.0 / temperature.to_scalar::<f32>()?;
        Ok(Self {
            model: Retrieval::load(p, pictures, text, (vision.width(), joint), scale)?,
            decoder: text.decoder(&p.sharing(shared).at("text_decoder"))?,
            temperature,
        })
    }
}

/// Whether the parameters are empty, so that everything that pretraining needs has to be initialised.
fn starts_empty(p: &Params) -> bool {
    p.trainable() && !p.contains("text_proj.weight")
}

impl Pretraining {
    /// `None` for checkpoints without a teacher.
    pub fn load(
        p: &Params,
        vision: &VisionConfig,
        text: &TextConfig,
        joint: usize,
        spec: &Spec,
    ) -> Result<Option<Self>, ModelError> {
        let scratch = starts_empty(p);
        if !p.trainable() || !(scratch || p.contains("text_proj_m.weight")) {
            return Ok(None);
        }
        let student = Student::load(p, vision, text, joint, spec)?;
        let copies = p.untrained();
        let pictures = vision.load_as(&copies.at("vision_model_m"), ID, text.positions)?;
        Ok(Some(Self {
            student: student.model,
            decoder: student.decoder,
            temperature: student.temperature,
            teacher: Towers::load(&copies, pictures, text, (vision.width(), joint), "_m")?,
            queues: queues(&copies, [joint, spec.queue], scratch)?,
            start: text.start,
            image_grounded: spec.image_grounded,
        }))
    }
}

/// Queues of `[features, entries]`. New ones are random, with columns scaled to norm 1 like features.
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

impl Learner for Pretraining {
    fn model(&self) -> &dyn Model {
        &self.student
    }

    fn objective(&self) -> Objective<'_> {
        Objective::EncoderDecoderMixture(self)
    }
}

impl MomentumContrast for Pretraining {
    fn temperature(&self) -> &Tensor {
        &self.temperature
    }

    fn teacher_tensor(&self, name: &str) -> Option<String> {
        let (part, rest) = name.split_once('.')?;
        FOLLOWED.contains(&part).then(|| format!("{part}_m.{rest}"))
    }

    fn queues(&self) -> &Queues {
        &self.queues
    }
}

impl EncoderDecoderMixture for Pretraining {
    fn student(&self) -> &dyn DualEncoder {
        &self.student.towers
    }

    fn teacher(&self) -> &dyn DualEncoder {
        &self.teacher
    }

    fn matching_logits(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError> {
        let texts = started(texts, self.image_grounded);
        let packed = Packed::of(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let read = self
            .student
            .towers
            .grounded(&packed, pictures, &mut Taps::none())?;
        self.student.matches(&read)
    }

    fn next_token_logits(&self, texts: &Texts, pictures: &States) -> Result<Tensor, ModelError> {
        let texts = started(texts, self.start);
        let lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
        let positions = lengths
            .iter()
            .flat_map(|n| (0..*n as i64).map(|place| [place; 3]));
        let memory = self.decoder.cross_memory(&pictures.rows, &pictures.lengths)?;
        let batch = Batch::of(lengths.clone()).across(Some(Arc::new(memory)));
        let positions: Vec<[i64; 3]> = positions.collect();
        let x = self.decoder.embed(&texts.concat())?;
        let hidden = self
            .decoder
            .forward(&x, &positions, &batch, None, &mut Taps::none())?;
        Ok(self.decoder.logits(&hidden)?)
    }
}

/// The texts with their first token replaced by `first`.
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
