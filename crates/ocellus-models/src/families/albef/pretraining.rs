//! Pretraining: the towers with an EMA teacher and its queues.

use candle_core::Tensor;
use ocellus_nn::Params;

use super::config::Config;
use super::model::Albef;
use super::towers::Towers;
use crate::dual_encoder::FusionEncoder;
use crate::error::ModelError;
use crate::families::packed::unit;
use crate::learner::momentum_contrast::{MomentumContrast, Queues};
use crate::learner::momentum_distillation::MomentumDistillation;
use crate::learner::{Learner, Objective};
use crate::model::Model;
use crate::states::States;

/// The parts that the EMA teacher has a copy of.
const FOLLOWED: &[&str] = &["visual_encoder", "vision_proj", "text_encoder", "text_proj"];

struct Pretraining {
    model: Albef,
    temperature: Tensor,
    teacher: Towers,
    queues: Queues,
}

/// `None` for checkpoints without a teacher. Training from scratch creates one.
pub(super) fn load(config: &Config, p: &Params) -> Result<Option<Box<dyn Learner>>, ModelError> {
    let held = config.starts_empty(p) || p.contains("visual_encoder_m.cls_token");
    if !p.trainable() || !held {
        return Ok(None);
    }
    let model = Albef::load(config, p)?;
    let (teacher, queues) = teacher(config, p)?;
    Ok(Some(Box::new(Pretraining {
        temperature: model.contrast()?.temperature.clone(),
        model,
        teacher,
        queues,
    })))
}

/// The teacher's towers, which get no gradients, and the queues of their features.
fn teacher(config: &Config, p: &Params) -> Result<(Towers, Queues), ModelError> {
    let p = p.untrained();
    let shape = [config.features()?, config.entries()?];
    let next = p.integers("queue_ptr", 1)?[0];
    let queue = |name| -> Result<_, ModelError> {
        let queue = p.tensor(name, &shape)?;
        match config.starts_empty(&p) {
            // Random at the start; columns are scaled to norm 1 like features.
            true => Ok(unit(&queue.t()?)?.t()?.contiguous()?),
            false => Ok(queue),
        }
    };
    let queues = Queues {
        pictures: queue("image_queue")?,
        texts: queue("text_queue")?,
        next: usize::try_from(next).unwrap_or(usize::MAX),
    };
    if queues.next >= shape[1] {
        let expected = format!("a column of {}", shape[1]);
        return Err(ModelError::input("tensor `queue_ptr`", expected, next));
    }
    Ok((Towers::load(config, &p, "_m")?, queues))
}

impl Learner for Pretraining {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn objective(&self) -> Objective<'_> {
        Objective::MomentumDistillation(self)
    }
}

impl MomentumDistillation for Pretraining {
    fn student(&self) -> &dyn FusionEncoder {
        self.model.towers.as_ref()
    }

    fn teacher(&self) -> &dyn FusionEncoder {
        &self.teacher
    }

    fn matching_logits(&self, fused: &States) -> Result<Tensor, ModelError> {
        self.model.matching_logits(fused)
    }
}

impl MomentumContrast for Pretraining {
    fn queues(&self) -> &Queues {
        &self.queues
    }

    fn temperature(&self) -> &Tensor {
        &self.temperature
    }

    fn teacher_tensor(&self, name: &str) -> Option<String> {
        let (part, rest) = name.split_once('.')?;
        FOLLOWED.contains(&part).then(|| format!("{part}_m.{rest}"))
    }
}
