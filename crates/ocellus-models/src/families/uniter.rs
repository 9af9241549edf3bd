//! UNITER (Chen et al. 2020): tokens and detected regions in one stack of post-norm layers. Reference: `model/` of the authors'
//! code.
//!
//! Specific to this family: seven geometry values per region; features, geometry and their sum are each normalised; masked
//! regions get a learned mask embedding; the feature regression head reuses the transposed region projection; words are aligned
//! with regions by optimal transport.

use candle_core::Tensor;
use ocellus_nn::attention::segments;
use ocellus_nn::embeddings::{self, Embeddings, rows};
use ocellus_nn::encoder::{self, Encoder};
use ocellus_nn::norm::NormLayer;
use ocellus_nn::ops::activation::activate;
use ocellus_nn::{Act, Linear, Mask, Names, Params, Taps};

use super::family::{Family, Task};
use super::planes;
use super::regions::{Answers, NORM, TypedTexts, facts, firsts, layer_names, pick};
use crate::capabilities::{Classifier, ImageTextMatcher, MaskedRegionHead, MlmHead, WordRegionAligner};
use crate::error::ModelError;
use crate::facts::Facts;
use crate::input::{InputSpec, VisualFormat};
use crate::learner::Learner;
use crate::model::Model;

mod abilities;
mod config;
mod order;
mod pretrained;
mod reference;
mod training;

use config::{Config, ID, REGION, claims};
use order::Order;
use pretrained::Pretrained;

pub(super) const FAMILY: Family = Family {
    id: ID,
    architectures: &[PRETRAINING, QUESTIONS],
    anchors: &["uniter.embeddings.word_embeddings.weight"],
    also: &[],
    claims,
    tasks: &[Task::Score, Task::Ask, Task::Fill],
    load: |config, params| Ok(Box::new(Uniter::load(Config::read(config)?, params)?)),
    shape: None,
    processors: &[],
    unused: &[
        // A copy of the token embedding table.
        "cls.predictions.decoder.weight",
        // A copy of the region projection.
        "feat_regress.weight",
    ],
    trace: Some(|config, params| Ok(Box::new(Uniter::load(Config::read(config)?, params)?))),
    learner: Some(|config, params| {
        let model = Uniter::load(Config::read(config)?, params)?;
        Ok(model
            .pretrained
            .is_some()
            .then(|| Box::new(model) as Box<dyn Learner>))
    }),
    trains: |_| true,
};

const PRETRAINING: &str = "UniterForPretraining";
const QUESTIONS: &str = "UniterForVisualQuestionAnswering";
/// Geometry values of a region: corners, sides and area.
const GEOMETRY: usize = 7;
const LAYERS: Names = &layer_names("layer");

/// Packed inputs of the region embedding.
struct Seen {
    /// `[regions, features]`, zero where masked.
    features: Tensor,
    /// `[regions, 7]`.
    geometry: Tensor,
    /// Whether each region is masked.
    hidden: Vec<bool>,
    lengths: Vec<usize>,
}

/// The output of the last layer, and the rows of tokens and regions in it.
struct Joint {
    /// `[tokens and regions, width]`; in each sequence the tokens stand before the regions.
    states: Tensor,
    /// Tokens and regions of each sequence.
    lengths: Vec<usize>,
    /// Row index of every text token.
    words: Vec<u32>,
    /// Row index of every region.
    regions: Vec<u32>,
}

struct Uniter {
    facts: Facts,
    config: Config,
    words: Embeddings,
    features: Linear,
    features_norm: NormLayer,
    geometry: Linear,
    geometry_norm: NormLayer,
    /// Embedding that is added to the features of a masked region, `[1, features]`.
    hidden: Tensor,
    norm: NormLayer,
    stack: Encoder,
    pooler: Linear,
    pretrained: Option<Pretrained>,
    questions: Option<Answers>,
}

impl Uniter {
    fn load(config: Config, p: &Params) -> Result<Self, ModelError> {
        let (root, stream) = (p.at("uniter"), config.stream);
        let (width, seen) = (stream.width, root.at("img_embeddings"));
        let spec = embeddings::Spec {
            vocab: config.vocab,
            width,
            positions: Some(config.positions),
            types: Some(config.types),
            norm: NORM,
        };
        let words = Embeddings::load(&root.at("embeddings"), &spec)?;
        let projection = seen
            .at("img_linear")
            .tensor("weight", &[width, config.features])?;
        let bias = seen.at("img_linear").tensor("bias", &[width])?;
        let masks = seen
            .at("mask_embedding")
            .tensor("weight", &[2, config.features])?;
        let pretrained = config.architecture == PRETRAINING || p.contains("itm_output.weight");
        let questions = config.architecture == QUESTIONS || p.contains("vqa_output.0.weight");
        let pretrained = pretrained.then(|| Pretrained::load(p, &config, &words.words, &projection));
        let question_head = || Answers::load(&p.at("vqa_output"), [width, 2 * width, config.answers]);
        Ok(Self {
            facts: facts(ID, config.features, config.positions),
            features: Linear::new(projection, Some(bias), &seen)?,
            features_norm: NORM.load(&seen.at("img_layer_norm"), width)?,
            geometry: Linear::load(&seen.at("pos_linear"), GEOMETRY, width, true)?,
            geometry_norm: NORM.load(&seen.at("pos_layer_norm"), width)?,
            // Row 0 of the table, for regions that are not masked, counts as zero whatever the file contains.
            hidden: masks.narrow(0, 1, 1)?,
            norm: NORM.load(&seen.at("LayerNorm"), width)?,
            stack: Encoder::load(
                &root.at("encoder").named(LAYERS),
                &encoder::Spec::new(stream.layers, stream.block()),
            )?,
            pooler: Linear::load(&root.at("pooler.dense"), width, width, true)?,
            pretrained: pretrained.transpose()?,
            questions: questions.then(question_head).transpose()?,
            words,
            config,
        })
    }

    /// Embeds regions → `[regions, width]`. Taps `region_embeds`.
    fn see(&self, seen: &Seen, taps: &mut Taps) -> Result<Tensor, ModelError> {
        let table = &self.words.words;
        let own = |x: &Tensor| x.to_device(table.device())?.to_dtype(table.dtype());
        let (count, mut features) = (seen.hidden.len(), own(&seen.features)?);
        if seen.hidden.contains(&true) {
            let mask: Vec<f32> = seen.hidden.iter().map(|h| f32::from(u8::from(*h))).collect();
            let mask = own(&Tensor::from_vec(mask, (count, 1), table.device())?)?;
            features = (features + mask.broadcast_mul(&self.hidden)?)?;
        }
        let features = self.features_norm.forward(&self.features.forward(&features)?)?;
        let geometry = self.geometry.forward(&own(&seen.geometry)?)?;
        let sum = (features + self.geometry_norm.forward(&geometry)?)?;
        let kinds = match &self.words.types {
            Some(table) => rows(table, &vec![REGION; count])?,
            None => sum.zeros_like()?,
        };
        let x = self.norm.forward(&(sum + kinds)?)?;
        taps.tap("region_embeds", &x);
        Ok(x)
    }

    /// Encodes text tokens and regions together. Taps `text_embeds`, `region_embeds`, `packed_embeds`, `hidden_N`, `hidden_last`.
    fn join(&self, words: &TypedTexts, seen: &Seen, taps: &mut Taps) -> Result<Joint, ModelError> {
        words.check(self.config.vocab, self.config.positions, self.config.types)?;
        let text = self.words.forward(&words.ids, &words.positions, &words.types)?;
        taps.tap("text_embeds", &text);
        let regions = self.see(seen, taps)?;
        let order = Order::of(&words.lengths, &seen.lengths);
        let x = pick(&Tensor::cat(&[&text, &regions], 0)?, &order.rows)?;
        taps.tap("packed_embeds", &x);
        let within = segments(order.lengths.iter().copied());
        let mask = Mask::whole(&within);
        let states = self
            .stack
            .forward(&x, 0..self.stack.len(), &mask, None, None, ("hidden", taps))?;
        taps.tap("hidden_last", &states);
        Ok(Joint {
            states,
            lengths: order.lengths,
            words: order.words,
            regions: order.regions,
        })
    }

    /// The pooler output for the first token of every sequence: `[sequences, width]`.
    fn pooled(&self, joint: &Joint) -> Result<Tensor, ModelError> {
        self.pool(&pick(&joint.states, &firsts(&joint.lengths))?)
    }

    /// States of first tokens `[rows, width]` → pooler output `[rows, width]`.
    fn pool(&self, first: &Tensor) -> Result<Tensor, ModelError> {
        Ok(activate(&self.pooler.forward(first)?, Act::Tanh)?)
    }
}

impl Model for Uniter {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            visual: VisualFormat::Regions {
                width: self.facts.patch_features,
            },
            text: planes::within(planes::SENTENCE, self.facts.max_positions),
            ..InputSpec::default()
        }
    }

    fn matcher(&self) -> Option<&dyn ImageTextMatcher> {
        self.pretrained.as_ref().map(|_| self as &dyn ImageTextMatcher)
    }

    fn classifier(&self) -> Option<&dyn Classifier> {
        self.questions.as_ref().map(|_| self as &dyn Classifier)
    }

    fn mlm_head(&self) -> Option<&dyn MlmHead> {
        self.pretrained.as_ref().map(|_| self as &dyn MlmHead)
    }

    fn masked_region_head(&self) -> Option<&dyn MaskedRegionHead> {
        self.pretrained.as_ref().map(|_| self as &dyn MaskedRegionHead)
    }

    fn aligner(&self) -> Option<&dyn WordRegionAligner> {
        self.pretrained.as_ref().map(|_| self as &dyn WordRegionAligner)
    }
}
