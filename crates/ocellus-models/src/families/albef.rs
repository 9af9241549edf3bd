//! ALBEF (Li et al. 2021): an image tower, a text encoder whose upper layers look at the picture, and a copy of both that
//! follows slowly in training. Reference: `salesforce/ALBEF`.
//!
//! What belongs to this family alone: one encoder serves as the text tower (its lower layers) and as the fusion encoder (the
//! rest), and a text is `[CLS]` and its words, without an end token. Fine-tuned checkpoints have parts of it: a decoder for
//! answers ([`answers`]), or a classifier.

use candle_core::{D, Tensor, Var};
use ocellus_nn::losses::soft_targets::probabilities;
use ocellus_nn::ops::activation::activate;
use ocellus_nn::{Act, Linear, Params, Taps};
use std::sync::Arc;

use super::packed::{self, paired, split, unit};
use super::{Family, Task};
use crate::fusion::{Followed, Fusion, Momentum, Queues, States, TwoTowers};
use crate::given::{Given, Rows};
use crate::model::{Asked, Classifier, Embedder, Filler, Matcher, Model, PairScore, Sight, Texts, Trace};
use crate::vlm::{Facts, ModelError, Vlm};

use super::planes;
use crate::model::{Phrases, Sees};
use answers::Answers;
use config::Config;
use ocellus_media::PixelRecipe;
use ocellus_text::{Cleaning, TextForm};
use towers::Towers;

mod answers;
mod config;
mod towers;

const RECIPE: PixelRecipe = planes::web(planes::square(384));

/// Nothing stands behind a text, and signs are left out as in training.
const FORM: TextForm = TextForm {
    first: Some("[CLS]"),
    cleaning: Cleaning::Caption,
    ..TextForm::BARE
};

pub(super) const FAMILY: Family = Family {
    id: "albef",
    architectures: &["ALBEF"],
    tasks: &[Task::Ask, Task::Score, Task::Embed, Task::Classify, Task::Fill],
    also: &[],
    claims: |_| false,
    processors: &[("albef", RECIPE)],
    unused: &[
        // What only training needs: the slow copy and its queues.
        "visual_encoder_m.",
        "text_encoder_m.",
        "text_decoder_m.",
        "vision_proj_m.",
        "text_proj_m.",
        "cls_head_m.",
        "image_queue",
        "text_queue",
        "idx_queue",
        "queue_ptr",
        // Copies of the word table and of the bias beside it.
        "predictions.decoder.weight",
        "predictions.decoder.bias",
    ],
    load: |config, params| Ok(Box::new(Albef::load(&Config::read(config)?, params)?)),
    shape: None,
};

/// Parts that have a slow copy.
const FOLLOWED: &[&str] = &["visual_encoder", "vision_proj", "text_encoder", "text_proj"];

struct Albef {
    facts: Facts,
    towers: Arc<Towers>,
    contrast: Option<Contrast>,
    teacher: Option<(Towers, Queues)>,
    answers: Option<Answers>,
    entailment: Option<Entailment>,
}

/// Heads that compare a picture and a text.
struct Contrast {
    temperature: Tensor,
    matching: Linear,
}

/// Whether a picture shows what a text says.
struct Entailment {
    layers: (Linear, Linear),
    labels: Vec<String>,
}

impl Albef {
    fn load(config: &Config, p: &Params) -> Result<Self, ModelError> {
        let towers = Arc::new(Towers::load(config, p, "")?);
        let width = config.text.block.width;
        let scratch = config.starts_empty(p);
        let contrast = || -> Result<_, ModelError> {
            let temperature = p.tensor("temp", &[])?;
            if scratch {
                Var::from_tensor(&temperature)?
                    .set(&Tensor::new(config.temperature as f32, temperature.device())?)?;
            }
            Ok(Contrast {
                temperature,
                matching: Linear::load(&p.at("itm_head"), width, 2, true)?,
            })
        };
        let followed = p.trainable() && (scratch || p.contains("visual_encoder_m.cls_token"));
        let has_contrast = scratch || p.contains("temp");
        let entailment = || -> Result<_, ModelError> {
            let load = |name, outputs| Linear::load(&p.at(name), width, outputs, true);
            Ok(Entailment {
                layers: (load("cls_head.0", width)?, load("cls_head.2", 3)?),
                labels: ["contradiction", "neutral", "entailment"]
                    .map(str::to_owned)
                    .into(),
            })
        };
        Ok(Self {
            contrast: has_contrast.then(contrast).transpose()?,
            teacher: followed.then(|| teacher(config, p)).transpose()?,
            answers: Answers::load(config, p, &towers)?,
            entailment: p.contains("cls_head.0.weight").then(entailment).transpose()?,
            facts: config.facts(),
            towers,
        })
    }

    fn contrast(&self) -> Result<&Contrast, ModelError> {
        self.contrast.as_ref().ok_or_else(|| lacks("heads that compare"))
    }

    /// The first token of text `i` after it has seen picture `i`, `[texts, width]`.
    fn fused(&self, sight: &Sight, texts: &Texts) -> Result<Tensor, ModelError> {
        let (texts, pictures) = (self.towers.texts(texts)?, self.towers.pictures(sight)?);
        self.towers.fuse(&texts, &pictures)?.firsts()
    }
}

/// The slow copy, which gradients do not change, and its queues.
fn teacher(config: &Config, p: &Params) -> Result<(Towers, Queues), ModelError> {
    let p = p.untrained();
    let shape = [config.features()?, config.entries()?];
    let next = p.integers("queue_ptr", 1)?[0];
    let queue = |name| -> Result<_, ModelError> {
        let queue = p.tensor(name, &shape)?;
        match config.starts_empty(&p) {
            // Drawn at random, with columns of length 1 as features have it.
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

fn lacks(what: &str) -> ModelError {
    ModelError::input("the checkpoint", what, "none")
}

impl Model for Albef {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn sees(&self) -> Sees {
        let table = self.towers.table();
        planes::sized(RECIPE, table, self.facts.patch_size)
    }

    fn form(&self) -> TextForm {
        planes::within(FORM, self.facts.max_positions)
    }

    fn phrases(&self) -> Option<Phrases> {
        Some(Phrases {
            caption: "",
            question: "{}",
        })
    }

    fn generator(&self) -> Option<&dyn Vlm> {
        self.answers.as_ref().map(|a| a as &dyn Vlm)
    }

    fn matcher(&self) -> Option<&dyn Matcher> {
        self.contrast.as_ref().map(|_| self as &dyn Matcher)
    }

    fn embedder(&self) -> Option<&dyn Embedder> {
        self.contrast.as_ref().map(|_| self as &dyn Embedder)
    }

    fn classifier(&self) -> Option<&dyn Classifier> {
        self.entailment.as_ref().map(|_| self as &dyn Classifier)
    }

    fn filler(&self) -> Option<&dyn Filler> {
        self.towers.guesses().then_some(self as &dyn Filler)
    }

    fn momentum(&self) -> Option<&dyn Momentum> {
        self.teacher.as_ref().map(|_| self as &dyn Momentum)
    }

    fn tracer(&self) -> Option<&dyn Trace> {
        Some(self)
    }
}

impl Matcher for Albef {
    fn pairs(&self, sight: &Sight, texts: &Texts) -> Result<Vec<PairScore>, ModelError> {
        let (pictures, texts) = (self.towers.pictures(sight)?, self.towers.texts(texts)?);
        let fused = self.towers.fuse(&texts, &pictures)?;
        let matched = probabilities(&self.matches(&fused)?)?.to_vec2::<f32>()?;
        let (a, b) = (
            self.towers.picture_features(&pictures)?,
            self.towers.text_features(&texts)?,
        );
        let similarity = (a * b)?.sum(D::Minus1)?.to_vec1::<f32>()?;
        let score = |(matched, similarity): (Vec<f32>, f32)| PairScore {
            matched: matched.get(1).copied(),
            similarity: Some(similarity),
        };
        Ok(matched.into_iter().zip(similarity).map(score).collect())
    }
}

impl Embedder for Albef {
    fn pictures(&self, sight: &Sight) -> Result<Tensor, ModelError> {
        self.towers.picture_features(&self.towers.pictures(sight)?)
    }

    fn texts(&self, texts: &Texts) -> Result<Tensor, ModelError> {
        self.towers.text_features(&self.towers.texts(texts)?)
    }

    fn scale(&self) -> Result<f32, ModelError> {
        Ok(1.0 / self.contrast()?.temperature.to_scalar::<f32>()?)
    }
}

impl Classifier for Albef {
    fn answers(&self, sight: &Sight, questions: &Texts) -> Result<Tensor, ModelError> {
        let head = self.entailment.as_ref().ok_or_else(|| lacks("a classifier"))?;
        let inner = activate(&head.layers.0.forward(&self.fused(sight, questions)?)?, Act::Relu)?;
        Ok(head.layers.1.forward(&inner)?)
    }

    fn labels(&self) -> &[String] {
        self.entailment.as_ref().map_or(&[], |e| &e.labels)
    }
}

impl Filler for Albef {
    fn words(&self, sight: &Sight, texts: &Texts) -> Result<Tensor, ModelError> {
        let (texts, pictures) = (self.towers.texts(texts)?, self.towers.pictures(sight)?);
        self.towers.words(&self.towers.fuse(&texts, &pictures)?)
    }
}

impl Momentum for Albef {
    fn student(&self) -> &dyn Fusion {
        self.towers.as_ref()
    }

    fn teacher(&self) -> &dyn Fusion {
        &self.teacher.as_ref().expect("a momentum model has a teacher").0
    }

    fn matches(&self, fused: &States) -> Result<Tensor, ModelError> {
        Ok(self.contrast()?.matching.forward(&fused.firsts()?)?)
    }
}

impl Followed for Albef {
    fn queues(&self) -> &Queues {
        &self.teacher.as_ref().expect("a momentum model has queues").1
    }

    fn temperature(&self) -> &Tensor {
        &self
            .contrast
            .as_ref()
            .expect("a momentum model compares")
            .temperature
    }

    fn follower(&self, name: &str) -> Option<String> {
        let (part, rest) = name.split_once('.')?;
        FOLLOWED.contains(&part).then(|| format!("{part}_m.{rest}"))
    }
}

impl Trace for Albef {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let (sight, rows) = self.given(given)?;
        let count = rows.lengths.len();
        let mut whole = |name: &str, x: &Tensor| {
            // Pictures of a batch have one size.
            if let Ok(x) = split(x, count) {
                taps.tap(name, &x);
            }
        };
        let pictures = self.towers.see(&sight, &mut Taps::new(&mut whole))?;
        whole("vision_out", &pictures.rows);
        paired(count, pictures.lengths.len())?;
        let texts = self.towers.read(&rows, taps)?;
        taps.tap("text_out", &rows.unpack(&texts.rows)?);
        if let Some(contrast) = &self.contrast {
            let features = (
                self.towers.picture_features(&pictures)?,
                self.towers.text_features(&texts)?,
            );
            taps.tap("image_feat", &features.0);
            taps.tap("text_feat", &features.1);
            let cosines = features.0.matmul(&features.1.t()?)?;
            taps.tap("sim_i2t", &cosines.broadcast_div(&contrast.temperature)?);
        }
        let fused = self.towers.fuse(&texts, &pictures)?;
        taps.tap("fusion_out", &rows.unpack(&fused.rows)?);
        if self.contrast.is_some() {
            taps.tap("itm_logits", &self.matches(&fused)?);
        }
        if let Some(answers) = self.answers.as_ref().filter(|_| given.has("answer_input_ids")) {
            answers.trace(&fused, given, taps)?;
        }
        if self.towers.guesses() && given.has("mlm_input_ids") {
            let rows = self
                .towers
                .checked(given.rows("mlm_input_ids", "attention_mask")?)?;
            let texts = self.towers.read(&rows, &mut Taps::none())?;
            let words = self.towers.words(&self.towers.fuse(&texts, &pictures)?)?;
            taps.tap("mlm_logits", &rows.unpack(&words)?);
        }
        Ok(())
    }

    fn asked(&self, given: &Given) -> Result<Vec<Asked>, ModelError> {
        let (sight, rows) = self.given(given)?;
        let (patches, grids) = sight.pictures()?;
        paired(rows.lengths.len(), grids.len())?;
        let mut first = 0;
        let ask = |(ids, grid): (Vec<u32>, &crate::vlm::Grid)| {
            let picture = patches.narrow(0, first, grid.h * grid.w)?;
            first += grid.h * grid.w;
            Ok(Asked {
                offset: 0,
                ids,
                pictures: vec![(picture, *grid)],
            })
        };
        rows.split().into_iter().zip(grids).map(ask).collect()
    }
}

impl Albef {
    /// The pictures and texts of a reference call.
    fn given(&self, given: &Given) -> Result<(Sight, Rows), ModelError> {
        let rows = self.towers.checked(given.rows("input_ids", "attention_mask")?)?;
        Ok((packed::sight(given, "image", self.facts.patch_size)?, rows))
    }
}
