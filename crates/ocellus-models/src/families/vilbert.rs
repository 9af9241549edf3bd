//! ViLBERT (Lu et al. 2019) and its multi-task heads (Lu et al. 2020): a text stream and a region stream of post-norm
//! layers that attend to each other in connection layers. Reference: `vilbert/vilbert.py` of the authors' code.
//!
//! Specific to this family: the two streams have different widths and their own order of layers; region 0 stands for the whole
//! picture; the element-wise product of the two pooled vectors (with ReLU) represents the pair; a task token follows the first
//! token.

use candle_core::Tensor;
use ocellus_nn::attention::segments;
use ocellus_nn::embeddings::{self, Embeddings, MaskedWords, rows};
use ocellus_nn::encoder::{self, Encoder};
use ocellus_nn::norm::NormLayer;
use ocellus_nn::ops::activation::activate;
use ocellus_nn::{Act, Linear, Mask, Names, Params, Taps};

use super::family::{Family, Task};
use super::regions::{Classes, NORM, TypedTexts, facts, firsts, layer_names, pick};
use crate::capabilities::{Classifier, ImageTextMatcher, MaskedRegionHead, MlmHead};
use crate::error::ModelError;
use crate::facts::Facts;
use crate::input::{InputSpec, VisualFormat};
use crate::model::Model;

mod abilities;
mod config;
mod connection;
mod heads;
mod reference;

use super::planes;
use config::{Config, Fusion, ID, TASK_ROWS, TASKS};
use connection::Connection;
use heads::TaskHeads;

pub(super) const FAMILY: Family = Family {
    id: ID,
    architectures: &["BertForMultiModalPreTraining", TASKS],
    anchors: &["bert.embeddings.word_embeddings.weight"],
    also: &[],
    claims: |config| {
        config.get("v_biattention_id").is_some() || config.get("bi_num_attention_heads").is_some()
    },
    tasks: &[Task::Score, Task::Ask, Task::Fill],
    load: |config, params| Ok(Box::new(Vilbert::load(Config::read(config)?, params)?)),
    shape: None,
    processors: &[],
    unused: &[
        // Output projections that the original creates and never uses.
        "biOutput.q_dense1.weight",
        "biOutput.q_dense1.bias",
        "biOutput.q_dense2.weight",
        "biOutput.q_dense2.bias",
        // A copy of the token embedding table.
        "cls.predictions.decoder.weight",
    ],
    trace: Some(|config, params| Ok(Box::new(Vilbert::load(Config::read(config)?, params)?))),
    learner: None,
    trains: |_| true,
};

/// Geometry values of a region: corners and share of the area.
const PLACE: usize = 5;

const TEXT: Names = &layer_names("layer");
const IMAGE: Names = &layer_names("v_layer");

/// Packed inputs of the region embedding; region 0 of each picture stands for the whole picture.
struct Seen {
    /// `[regions, features]`.
    features: Tensor,
    /// `[regions, 5]`.
    places: Tensor,
    lengths: Vec<usize>,
}

/// Outputs of the two streams.
struct Streams {
    text: Tensor,
    image: Tensor,
    /// The representation of each pair, `[pairs, bi_width]`.
    fused: Tensor,
    /// Tokens of each text, the task token included.
    lengths: Vec<usize>,
}

struct Vilbert {
    facts: Facts,
    config: Config,
    words: Embeddings,
    tasks: Option<Tensor>,
    features: Linear,
    places: Linear,
    norm: NormLayer,
    text: Encoder,
    image: Encoder,
    connections: Vec<Connection>,
    text_pooler: Linear,
    image_pooler: Linear,
    masked_words: MaskedWords,
    masked_regions: Classes,
    matching: Linear,
    heads: Option<TaskHeads>,
}

impl Vilbert {
    fn load(config: Config, p: &Params) -> Result<Self, ModelError> {
        let (bert, cls) = (p.at("bert"), p.at("cls"));
        let (stack, seen) = (bert.at("encoder"), bert.at("v_embeddings"));
        let (text, image) = (config.text, config.image);
        let spec = embeddings::Spec {
            vocab: config.vocab,
            width: text.width,
            positions: Some(config.positions),
            types: Some(config.types),
            norm: NORM,
        };
        let words = Embeddings::load(&bert.at("embeddings"), &spec)?;
        let tasks = bert.at("embeddings.task_embeddings");
        let task_tokens = config.task_tokens.unwrap_or_else(|| tasks.contains("weight"));
        let connection = |i: usize| Connection::load(&stack.at("c_layer").at(i), &config);
        let regions = cls.at("imagePredictions");
        let heads = config.task_heads || p.contains("vil_logit.weight");
        Ok(Self {
            facts: facts(ID, config.features, config.positions),
            masked_words: MaskedWords::load(&cls.at("predictions"), &words.words, text.act, NORM)?,
            tasks: task_tokens
                .then(|| tasks.tensor("weight", &[TASK_ROWS, text.width]))
                .transpose()?,
            features: Linear::load(&seen.at("image_embeddings"), config.features, image.width, true)?,
            places: Linear::load(&seen.at("image_location_embeddings"), PLACE, image.width, true)?,
            norm: NORM.load(&seen.at("LayerNorm"), image.width)?,
            text: Encoder::load(&stack.named(TEXT), &encoder::Spec::new(text.layers, text.block()))?,
            image: Encoder::load(
                &stack.named(IMAGE),
                &encoder::Spec::new(image.layers, image.block()),
            )?,
            connections: (0..config.connections.len())
                .map(connection)
                .collect::<Result<_, _>>()?,
            text_pooler: Linear::load(&bert.at("t_pooler.dense"), text.width, config.bi_width, true)?,
            image_pooler: Linear::load(&bert.at("v_pooler.dense"), image.width, config.bi_width, true)?,
            // The activation of the region head is read from the text's field, too.
            masked_regions: Classes::load(
                &regions.at("transform"),
                &regions.at("decoder"),
                image.width,
                text.act,
                config.outputs,
            )?,
            matching: Linear::load(&cls.at("bi_seq_relationship"), config.bi_width, 2, true)?,
            heads: heads.then(|| TaskHeads::load(p, &config)).transpose()?,
            words,
            config,
        })
    }

    /// Embeds texts; the task token is inserted second where the model has task tokens. Taps `text_embeds`.
    fn embed(
        &self,
        words: &TypedTexts,
        task: &[u32],
        taps: &mut Taps,
    ) -> Result<(Tensor, Vec<usize>), ModelError> {
        words.check(self.config.vocab, self.config.positions, self.config.types)?;
        let (mut x, mut lengths) = (
            self.words.sum(&words.ids, &words.positions, &words.types)?,
            words.lengths.clone(),
        );
        if let Some(table) = &self.tasks {
            if task.len() != lengths.len() || task.iter().any(|t| *t as usize >= TASK_ROWS) {
                let expected = format!("a number under {TASK_ROWS} for each of {} texts", lengths.len());
                return Err(ModelError::input("the task", expected, format!("{task:?}")));
            }
            let (mut order, mut next) = (Vec::with_capacity(words.ids.len() + task.len()), 0);
            for (i, n) in (0u32..).zip(&lengths) {
                order.extend([next, words.ids.len() as u32 + i]);
                order.extend(next + 1..next + *n as u32);
                next += *n as u32;
            }
            x = pick(&Tensor::cat(&[&x, &rows(table, task)?], 0)?, &order)?;
            lengths.iter_mut().for_each(|n| *n += 1);
        }
        let x = self.words.norm.forward(&x)?;
        taps.tap("text_embeds", &x);
        Ok((x, lengths))
    }

    /// Runs both streams. Taps every layer of both and their outputs, packed.
    fn streams(
        &self,
        words: &TypedTexts,
        task: &[u32],
        seen: &Seen,
        taps: &mut Taps,
    ) -> Result<Streams, ModelError> {
        let (mut text, lengths) = self.embed(words, task, taps)?;
        let table = &self.words.words;
        let own = |x: &Tensor| x.to_device(table.device())?.to_dtype(table.dtype());
        let (features, places) = (own(&seen.features)?, own(&seen.places)?);
        let sum = (self.features.forward(&features)? + self.places.forward(&places)?)?;
        let mut image = self.norm.forward(&sum)?;
        taps.tap("region_embeds", &image);

        let within = [&lengths, &seen.lengths].map(|n| segments(n.iter().copied()));
        let [of_text, of_image] = [Mask::whole(&within[0]), Mask::whole(&within[1])];
        let (mut texts, mut images) = (0, 0);
        for (i, (connection, &(v, t))) in self.connections.iter().zip(&self.config.connections).enumerate() {
            text = self
                .text
                .forward(&text, texts..t, &of_text, None, None, ("text_layer", taps))?;
            image = self
                .image
                .forward(&image, images..v, &of_image, None, None, ("image_layer", taps))?;
            (texts, images) = (t, v);
            (image, text) = connection.forward((&image, &seen.lengths), (&text, &lengths))?;
            taps.tap(&format!("co_{i}_image"), &image);
            taps.tap(&format!("co_{i}_text"), &text);
        }
        let (text_end, image_end) = (self.text.len(), self.image.len());
        image = self.image.forward(
            &image,
            images..image_end,
            &of_image,
            None,
            None,
            ("image_layer", taps),
        )?;
        text = self
            .text
            .forward(&text, texts..text_end, &of_text, None, None, ("text_layer", taps))?;

        let pooled = |x: &Tensor, lengths: &[usize], pooler: &Linear| {
            Ok::<_, ModelError>(activate(
                &pooler.forward(&pick(x, &firsts(lengths))?)?,
                Act::Relu,
            )?)
        };
        let of_text = pooled(&text, &lengths, &self.text_pooler)?;
        let of_image = pooled(&image, &seen.lengths, &self.image_pooler)?;
        for (name, x) in [("pooled_text", &of_text), ("pooled_image", &of_image)] {
            taps.tap(name, x);
        }
        taps.tap("hidden_last_text", &text);
        taps.tap("hidden_last_image", &image);
        let fused = match self.config.fusion {
            Fusion::Product => (of_text * of_image)?,
            Fusion::Sum => (of_text + of_image)?,
        };
        Ok(Streams {
            text,
            image,
            fused,
            lengths,
        })
    }
}

impl Model for Vilbert {
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
        Some(self)
    }

    fn classifier(&self) -> Option<&dyn Classifier> {
        self.heads.as_ref().map(|_| self as &dyn Classifier)
    }

    fn mlm_head(&self) -> Option<&dyn MlmHead> {
        Some(self)
    }

    fn masked_region_head(&self) -> Option<&dyn MaskedRegionHead> {
        Some(self)
    }
}
