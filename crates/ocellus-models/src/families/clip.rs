//! CLIP (Radford et al. 2021): a picture tower and a text tower with a joint embedding space. References: `clip` of transformers;
//! OpenCLIP for checkpoints in its layout, which is also the publisher's.
//!
//! Specific to this family: the state of a text's end token, which is found by its id, represents the text.

use candle_core::{D, Tensor};
use ocellus_nn::attention::Mask;
use ocellus_nn::embeddings::rows;
use ocellus_nn::encoder::Encoder;
use ocellus_nn::losses::contrastive::contrastive;
use ocellus_nn::norm::NormLayer;
use ocellus_nn::tower::Tower;
use ocellus_nn::{Linear, Params, Taps};

use super::family::{Family, Task};
use crate::capabilities::{Embedder, ImageTextMatcher, PairScore};
use crate::config::{ConfigError, ConfigFile};
use crate::error::ModelError;
use crate::facts::Facts;
use crate::input::InputSpec;
use crate::model::Model;
use crate::packed_texts::PackedTexts;
use crate::reference::{Given, Trace};
use crate::visual_input::{Texts, VisualInput};

mod config;
mod layout;
mod library;
mod open;
mod recipe;
#[cfg(test)]
mod tests;

use super::planes;
use config::{Config, EndOfText, ID};
use ocellus_media::PixelRecipe;
use ocellus_text::TextForm;
use recipe::RECIPE;

const FORM: TextForm = TextForm {
    first: Some("<|startoftext|>"),
    last: Some("<|endoftext|>"),
    ..TextForm::BARE
};

pub(super) const FAMILY: Family = Family {
    id: ID,
    architectures: &["CLIPModel"],
    anchors: &[
        "text_model.embeddings.token_embedding.weight",
        "token_embedding.weight",
    ],
    also: &["open_clip"],
    claims: open::is_open,
    tasks: &[Task::Embed, Task::Score, Task::Classify],
    load: |config, params| Ok(Box::new(Clip::load(read(config)?, params)?)),
    shape: None,
    // The publisher's own files carry training metadata beside the weights.
    processors: &[("clip", RECIPE)],
    unused: &["input_resolution", "context_length", "vocab_size"],
    trace: Some(|config, params| Ok(Box::new(Clip::load(read(config)?, params)?))),
    learner: None,
    trains: |_| true,
};

fn read(config: &ConfigFile) -> Result<Config, ConfigError> {
    match open::is_open(config) {
        true => open::read(config),
        false => library::read(config),
    }
}

struct Clip {
    facts: Facts,
    vocab: usize,
    recipe: PixelRecipe,
    end: EndOfText,
    words: Tensor,
    positions: Tensor,
    text: Encoder,
    text_norm: NormLayer,
    text_projection: Linear,
    vision: Tower,
    vision_projection: Linear,
    /// Natural logarithm of the factor that similarities are multiplied by.
    logit_scale: Tensor,
}

impl Clip {
    fn load(config: Config, p: &Params) -> Result<Self, ModelError> {
        let (text, vision) = (config.layout.text(p), config.layout.vision(p));
        let (encoder, embed) = (&config.text.encoder, config.embed);
        let width = encoder.block.width;
        Ok(Self {
            facts: config.facts(),
            vocab: config.text.vocab,
            recipe: config.recipe.clone(),
            end: config.end,
            words: text.at("words").tensor("weight", &[config.text.vocab, width])?,
            positions: text.tensor("positions", &[config.text.positions, width])?,
            text: Encoder::load(&text, encoder)?,
            text_norm: encoder.block.norm.load(&text.at("norm"), width)?,
            text_projection: config.layout.text_projection(p, width, embed)?,
            vision_projection: config.layout.vision_projection(
                p,
                config.vision.encoder.block.width,
                embed,
            )?,
            vision: Tower::load(&vision, config.vision)?,
            logit_scale: p.tensor("logit_scale", &[])?,
        })
    }

    /// Patches of pictures with these rows and columns → embeddings `[pictures, embed]`, not normalised. Taps those of the tower.
    fn see(&self, patches: &Tensor, grids: &[(usize, usize)], taps: &mut Taps) -> Result<Tensor, ModelError> {
        let states = self.vision.forward(patches, grids, taps)?;
        let mut next = 0;
        let class = grids.iter().map(|grid| {
            next += self.vision.tokens(*grid) as u32;
            next - self.vision.tokens(*grid) as u32
        });
        let class: Vec<u32> = class.collect();
        Ok(self.vision_projection.forward(&rows(&states, &class)?)?)
    }

    /// Packed texts → embeddings `[texts, embed]`, not normalised. Taps `text_hidden_N`, `text_hidden_last`.
    fn read(&self, texts: &PackedTexts, taps: &mut Taps) -> Result<Tensor, ModelError> {
        texts.check(self.vocab, self.facts.max_positions)?;
        let columns: Vec<u32> = texts.columns().into_iter().map(|c| c as u32).collect();
        let x = (rows(&self.words, &texts.ids)? + rows(&self.positions, &columns)?)?;
        let (segments, layers) = (texts.segments(), 0..self.text.len());
        let mask = Mask::causal(&segments);
        let x = self
            .text
            .forward(&x, layers, &mask, None, None, ("text_hidden", taps))?;
        let x = self.text_norm.forward(&x)?;
        taps.tap("text_hidden_last", &x);
        let firsts = texts.firsts();
        let ends = texts.split().into_iter().zip(firsts);
        let ends: Vec<u32> = ends.map(|(ids, first)| first + self.end.find(&ids)).collect();
        Ok(self.text_projection.forward(&rows(&x, &ends)?)?)
    }
}

/// Scales every row to norm 1.
fn unit(x: &Tensor) -> Result<Tensor, ModelError> {
    Ok(x.broadcast_div(&x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?)?)
}

impl Model for Clip {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn input(&self) -> InputSpec {
        let table = self.vision.spec().positions.unwrap_or((7, 7));
        InputSpec {
            visual: planes::sized(self.recipe.clone(), table, self.facts.patch_size),
            text: planes::within(FORM, self.facts.max_positions),
            ..InputSpec::default()
        }
    }

    fn matcher(&self) -> Option<&dyn ImageTextMatcher> {
        Some(self)
    }

    fn embedder(&self) -> Option<&dyn Embedder> {
        Some(self)
    }
}

impl Embedder for Clip {
    fn pictures(&self, visual: &VisualInput) -> Result<Tensor, ModelError> {
        let (patches, grids) = visual.stills(self.facts.patch_features)?;
        unit(&self.see(patches, &grids, &mut Taps::none())?)
    }

    fn texts(&self, texts: &Texts) -> Result<Tensor, ModelError> {
        unit(&self.read(&PackedTexts::of_texts(texts), &mut Taps::none())?)
    }

    fn scale(&self) -> Result<f32, ModelError> {
        Ok(self.logit_scale.exp()?.to_scalar()?)
    }
}

impl ImageTextMatcher for Clip {
    fn scores(&self, visual: &VisualInput, texts: &Texts) -> Result<Vec<PairScore>, ModelError> {
        let (pictures, texts) = (Embedder::pictures(self, visual)?, Embedder::texts(self, texts)?);
        let (seen, read) = (pictures.dim(0)?, texts.dim(0)?);
        if seen != read {
            return Err(ModelError::input(
                "the texts",
                format!("{seen}, one a picture"),
                read,
            ));
        }
        let cosines = (pictures * texts)?.sum(D::Minus1)?.to_vec1::<f32>()?;
        let score = |cosine| PairScore {
            similarity: Some(cosine),
            ..PairScore::default()
        };
        Ok(cosines.into_iter().map(score).collect())
    }
}

impl Trace for Clip {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        // The two references name their arguments differently: `pixel_values` and `input_ids`, or `image` and `text`.
        let either = |name, other| if given.has(name) { name } else { other };
        let (pixels, ids) = (either("pixel_values", "image"), either("input_ids", "text"));
        let mut seen = Vec::new();
        let mut listen = |name: &str, t: &Tensor| seen.push((name.to_owned(), t.clone()));
        let patch = self.facts.patch_size;
        let look = |name: &str, taps: &mut Taps| {
            let (patches, grids) = given.patches(name, patch, None)?;
            let visual = VisualInput::Pictures { patches, grids };
            let (patches, grids) = visual.stills(self.facts.patch_features)?;
            Ok::<_, ModelError>((self.see(patches, &grids, taps)?, grids.len()))
        };
        let (pictures, count) = look(pixels, &mut Taps::new(&mut listen))?;
        for (name, t) in seen.drain(..) {
            taps.tap(&name, &t.reshape((count, (), t.dim(1)?))?);
        }
        let texts = given.rows(ids, "attention_mask")?;
        let mut listen = |name: &str, t: &Tensor| seen.push((name.to_owned(), t.clone()));
        let read = self.read(&texts, &mut Taps::new(&mut listen))?;
        for (name, t) in seen.drain(..) {
            taps.tap(&name, &texts.unpack(&t)?);
        }
        let (pictures, read) = (unit(&pictures)?, unit(&read)?);
        taps.tap("image_embeds", &pictures);
        taps.tap("text_embeds", &read);
        let scores = pictures
            .matmul(&read.t()?)?
            .broadcast_mul(&self.logit_scale.exp()?)?;
        taps.tap("logits_per_image", &scores);
        taps.tap("logits_per_text", &scores.t()?);
        if scores.dim(0)? == scores.dim(1)? {
            taps.tap("loss", &contrastive(&scores)?);
        }
        if given.has("pixel_values_interp") {
            let mut listen = |name: &str, t: &Tensor| seen.push((name.to_owned(), t.clone()));
            let (features, count) = look("pixel_values_interp", &mut Taps::new(&mut listen))?;
            for (name, t) in seen.drain(..) {
                taps.tap(&format!("{name}_interp"), &t.reshape((count, (), t.dim(1)?))?);
            }
            taps.tap("image_features_interp", &features);
        }
        Ok(())
    }
}
