//! VLMo (Bao et al. 2021): a mixture-of-modality-experts transformer. Attention is shared by all tokens; each layer has separate
//! MLPs (experts) for text and for pictures, and in the upper layers one for both together. Reference: `vlmo` of
//! `microsoft/unilm`.
//!
//! Specific to this family: the experts ([`experts`]), and one table of relative position biases for text, patches and pairs of
//! both, in all layers ([`relative`]). The original pads texts to `max_text_len`. No token attends to padding and no result
//! contains it, so texts are packed here, and every token keeps its column.

use candle_core::{D, Tensor};
use ocellus_nn::embeddings::{Embeddings, rows};
use ocellus_nn::losses::soft_targets::probabilities;
use ocellus_nn::params::Names;
use ocellus_nn::tower::Tower;
use ocellus_nn::{Params, Taps};

use super::family::{Family, Task};
use super::packed::{self, paired};
use crate::capabilities::{Classifier, Embedder, ImageTextMatcher, MlmHead, PairScore};
use crate::error::ModelError;
use crate::facts::Facts;
use crate::input::InputSpec;
use crate::learner::Learner;
use crate::model::Model;
use crate::packed_texts::PackedTexts;
use crate::reference::{Given, Trace};
use crate::visual_input::{Texts, VisualInput};

use super::planes;
use config::{Config, ID};
use experts::{Level, MomeTransformer};
use heads::Heads;
use layout::TokenLayout;
use ocellus_media::PixelRecipe;

mod config;
mod experts;
mod heads;
mod layout;
mod relative;
mod spline;
mod training;

const RECIPE: PixelRecipe = planes::halves(planes::square(224));

pub(super) const FAMILY: Family = Family {
    id: ID,
    architectures: &["VLMo"],
    anchors: &["transformer.cls_token"],
    tasks: &[Task::Ask, Task::Score, Task::Embed, Task::Classify, Task::Fill],
    also: &[],
    claims: |_| false,
    processors: &[("vlmo", RECIPE)],
    unused: &[
        // Models with relative positions contain absolute text positions too and do not use them.
        "text_embeddings.position_embeddings.weight",
        "relative_position_index",
    ],
    load: |config, params| Ok(Box::new(Vlmo::load(Config::read(config)?, params)?)),
    shape: None,
    trace: Some(|config, params| Ok(Box::new(Vlmo::load(Config::read(config)?, params)?))),
    learner: Some(|config, params| {
        let model = Vlmo::load(Config::read(config)?, params)?;
        Ok(model
            .heads
            .pretrains()
            .then(|| Box::new(model) as Box<dyn Learner>))
    }),
    trains: |_| true,
};

const VISION: Names = &[
    ("patch", "patch_embed.proj"),
    ("class_token", "cls_token"),
    ("positions", "pos_embed"),
];

struct Vlmo {
    facts: Facts,
    config: Config,
    text: Embeddings,
    /// Class token, patch embedding and absolute positions, without layers.
    picture: Tower,
    /// Modality embeddings: row 0 for text, 1 for pictures, 2 for a second picture.
    kinds: Tensor,
    experts: MomeTransformer,
    heads: Heads,
}

impl Vlmo {
    fn load(config: Config, p: &Params) -> Result<Self, ModelError> {
        let transformer = p.at("transformer");
        let kinds = [config.kinds(p), config.width];
        Ok(Self {
            facts: config.facts(),
            text: Embeddings::load(&p.at("text_embeddings"), &config.text())?,
            picture: Tower::load(&transformer.named(VISION), config.picture())?,
            kinds: p.at("token_type_embeddings").tensor("weight", &kinds)?,
            experts: MomeTransformer::load(p, &config)?,
            heads: Heads::load(p, &config)?,
            config,
        })
    }

    /// Embeds text tokens, modality embedding included: `[tokens, width]`.
    fn words(&self, rows: &PackedTexts, taps: &mut Taps) -> Result<Tensor, ModelError> {
        let columns: Vec<u32> = rows.columns().into_iter().map(|c| c as u32).collect();
        let x = self.text.forward(&rows.ids, &columns, &vec![0; columns.len()])?;
        taps.tap("text_embeds", &rows.unpack(&x)?);
        self.of_kind(&x, 0)
    }

    /// Embeds class tokens and patches, modality embedding included: `[tokens, width]`, and the grids.
    fn patches(
        &self,
        visual: &VisualInput,
        taps: &mut Taps,
    ) -> Result<(Tensor, Vec<(usize, usize)>), ModelError> {
        let (patches, grids) = packed::pictures(visual, self.facts.patch_features)?;
        let x = self.picture.embed(patches, &grids, taps)?;
        Ok((self.of_kind(&x, 1)?, grids))
    }

    fn of_kind(&self, x: &Tensor, kind: u32) -> Result<Tensor, ModelError> {
        Ok(x.broadcast_add(&rows(&self.kinds, &[kind])?)?)
    }

    /// Encodes text `i` with picture `i`: states after the last norm, text before picture.
    fn fused(
        &self,
        rows: &PackedTexts,
        visual: &VisualInput,
        taps: &mut Taps,
    ) -> Result<(Tensor, TokenLayout), ModelError> {
        let words = self.words(rows, taps)?;
        let (patches, grids) = self.patches(visual, taps)?;
        paired(rows.lengths.len(), grids.len())?;
        let layout = TokenLayout::together(rows, &grids);
        let x = layout.interleave(&words, &patches)?;
        let x = self.experts.forward(&x, &layout, Level::fused(), taps)?;
        Ok((self.experts.finish(&x)?, layout))
    }

    /// Encodes texts alone, or pictures alone: states after the last norm. All layers use the experts of the modality; with
    /// `joint`, the upper layers use the vision-language expert.
    fn alone(&self, x: &Tensor, layout: &TokenLayout, joint: bool) -> Result<Tensor, ModelError> {
        let level = Level::alone(joint);
        let x = self.experts.forward(x, layout, level, &mut Taps::none())?;
        self.experts.finish(&x)
    }

    /// Encodes texts alone.
    fn text_states(&self, rows: &PackedTexts, joint: bool) -> Result<(Tensor, TokenLayout), ModelError> {
        let (x, layout) = (self.words(rows, &mut Taps::none())?, TokenLayout::texts(rows));
        Ok((self.alone(&x, &layout, joint)?, layout))
    }

    fn picture_states(&self, visual: &VisualInput, joint: bool) -> Result<(Tensor, TokenLayout), ModelError> {
        let (x, grids) = self.patches(visual, &mut Taps::none())?;
        let layout = TokenLayout::pictures(&grids);
        Ok((self.alone(&x, &layout, joint)?, layout))
    }

    fn rows(&self, texts: &Texts) -> Result<PackedTexts, ModelError> {
        packed::texts(texts, self.config.vocab, self.config.max_text_len)
    }
}

impl Model for Vlmo {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn input(&self) -> InputSpec {
        let side = self.config.side;
        InputSpec {
            visual: planes::sized(RECIPE, (side, side), self.facts.patch_size),
            text: planes::within(planes::SENTENCE, self.config.max_text_len),
            ..InputSpec::default()
        }
    }

    fn matcher(&self) -> Option<&dyn ImageTextMatcher> {
        let scores = self.heads.matching.is_some() || self.heads.contrast.is_some();
        scores.then_some(self as &dyn ImageTextMatcher)
    }

    fn embedder(&self) -> Option<&dyn Embedder> {
        self.heads.contrast.as_ref().map(|_| self as &dyn Embedder)
    }

    fn classifier(&self) -> Option<&dyn Classifier> {
        self.heads.answers.as_ref().map(|_| self as &dyn Classifier)
    }

    fn mlm_head(&self) -> Option<&dyn MlmHead> {
        self.heads.words.as_ref().map(|_| self as &dyn MlmHead)
    }
}

impl ImageTextMatcher for Vlmo {
    fn scores(&self, visual: &VisualInput, texts: &Texts) -> Result<Vec<PairScore>, ModelError> {
        let mut scores = vec![PairScore::default(); texts.len()];
        if let Some(head) = &self.heads.matching {
            let (x, layout) = self.fused(&self.rows(texts)?, visual, &mut Taps::none())?;
            let logits = head.forward(&self.heads.pooled(&layout.firsts(&x)?)?)?;
            let matched = probabilities(&logits)?.to_vec2::<f32>()?;
            (scores.iter_mut().zip(matched)).for_each(|(s, m)| s.matched = m.get(1).copied());
        }
        if self.heads.contrast.is_some() {
            let (a, b) = (self.pictures(visual)?, Embedder::texts(self, texts)?);
            paired(b.dim(0)?, a.dim(0)?)?;
            let similarity = (a * b)?.sum(D::Minus1)?.to_vec1::<f32>()?;
            (scores.iter_mut().zip(similarity)).for_each(|(s, c)| s.similarity = Some(c));
        }
        Ok(scores)
    }
}

impl Embedder for Vlmo {
    fn pictures(&self, visual: &VisualInput) -> Result<Tensor, ModelError> {
        let (x, layout) = self.picture_states(visual, false)?;
        self.heads.contrast()?.pictures(&layout.firsts(&x)?)
    }

    fn texts(&self, texts: &Texts) -> Result<Tensor, ModelError> {
        let (x, layout) = self.text_states(&self.rows(texts)?, false)?;
        self.heads.contrast()?.texts(&layout.firsts(&x)?)
    }

    fn scale(&self) -> Result<f32, ModelError> {
        self.heads.contrast()?.scale()
    }
}

impl Classifier for Vlmo {
    fn answers(&self, visual: &VisualInput, questions: &Texts) -> Result<Tensor, ModelError> {
        let (x, layout) = self.fused(&self.rows(questions)?, visual, &mut Taps::none())?;
        self.heads.answers(&layout.firsts(&x)?)
    }

    fn labels(&self) -> &[String] {
        &self.config.labels
    }
}

impl MlmHead for Vlmo {
    fn token_logits(&self, visual: &VisualInput, texts: &Texts) -> Result<Tensor, ModelError> {
        let (x, layout) = self.fused(&self.rows(texts)?, visual, &mut Taps::none())?;
        self.heads.words(&layout.of_text(&x)?)
    }
}

impl Trace for Vlmo {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let read = |name| {
            packed::checked(
                given.rows(name, "text_masks")?,
                self.config.vocab,
                self.config.max_text_len,
            )
        };
        let rows = read("text_ids")?;
        let visual = packed::visual(given, "image", self.facts.patch_size)?;
        let count = rows.lengths.len();
        let split = |x: &Tensor| packed::split(x, count);
        let (_, grids) = packed::pictures(&visual, self.facts.patch_features)?;
        paired(count, grids.len())?;
        let together = TokenLayout::together(&rows, &grids);

        let first_joint = format!("hidden_{}", self.config.joint_from);
        let mut staged = |name: &str, x: &Tensor| match name {
            "patch_embeds" => split(x).into_iter().for_each(|x| taps.tap(name, &x)),
            _ if name.starts_with("hidden_") => {
                if let Ok(x) = together.padded(x, &rows) {
                    taps.tap(name, &x);
                    if name == first_joint {
                        taps.tap("hidden_first_vl", &x);
                    }
                }
            }
            _ => taps.tap(name, x),
        };
        let (fused, layout) = self.fused(&rows, &visual, &mut Taps::new(&mut staged))?;
        taps.tap("text_feats", &rows.unpack(&layout.of_text(&fused)?)?);
        taps.tap("image_feats", &split(&layout.of_pictures(&fused)?)?);
        let firsts = layout.firsts(&fused)?;
        let pooled = self.heads.pooled(&firsts)?;
        taps.tap("cls_feats", &pooled);
        if let Some(head) = &self.heads.matching {
            taps.tap("itm_logits", &head.forward(&pooled)?);
        }
        if self.heads.answers.is_some() {
            taps.tap("vqa_logits", &self.heads.answers(&firsts)?);
        }
        if self.heads.words.is_some() && given.has("text_ids_mlm") {
            let rows = read("text_ids_mlm")?;
            let (x, layout) = self.fused(&rows, &visual, &mut Taps::none())?;
            taps.tap(
                "mlm_logits",
                &rows.unpack(&self.heads.words(&layout.of_text(&x)?)?)?,
            );
        }

        let (texts, of_texts) = self.text_states(&rows, false)?;
        let (pictures, of_pictures) = self.picture_states(&visual, false)?;
        taps.tap("text_only_feats", &rows.unpack(&texts)?);
        taps.tap("image_only_feats", &split(&pictures)?);
        if let Some(contrast) = &self.heads.contrast {
            let (texts, pictures) = (of_texts.firsts(&texts)?, of_pictures.firsts(&pictures)?);
            contrast.trace(&texts, &pictures, ("itc_text", "itc_image", "itc_logits"), taps)?;
        }
        if let Some(contrast) = &self.heads.joint_contrast {
            let (texts, of_texts) = self.text_states(&rows, true)?;
            let (pictures, of_pictures) = self.picture_states(&visual, true)?;
            let (texts, pictures) = (of_texts.firsts(&texts)?, of_pictures.firsts(&pictures)?);
            contrast.trace(
                &texts,
                &pictures,
                ("itc_vl_text", "itc_vl_image", "itc_vl_logits"),
                taps,
            )?;
        }
        Ok(())
    }
}
