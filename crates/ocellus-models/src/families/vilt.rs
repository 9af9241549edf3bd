//! ViLT (Kim et al. 2021): text tokens and linearly projected patches in one stack of layers, without a picture tower. Reference:
//! `vilt` of transformers.
//!
//! Specific to this family: modality embeddings that distinguish text from pictures, and heads over one text with several
//! pictures. The reference shuffles patches, which does not change results; here they stay in order.

use candle_core::Tensor;
use ocellus_nn::attention::{Mask, segments};
use ocellus_nn::embeddings::{Embeddings, rows};
use ocellus_nn::encoder::Encoder;
use ocellus_nn::norm::NormLayer;
use ocellus_nn::ops::activation::activate;
use ocellus_nn::tower::Tower;
use ocellus_nn::{Act, Linear, Names, Params, Taps};

use super::family::{Family, Task};
use crate::capabilities::{Classifier, ImageTextMatcher, MlmHead, PairScore};
use crate::error::ModelError;
use crate::facts::Facts;
use crate::input::InputSpec;
use crate::learner::Learner;
use crate::model::Model;
use crate::packed_texts::PackedTexts;
use crate::visual_input::{Texts, VisualInput};

mod config;
mod head;
mod joined;
#[cfg(test)]
mod tests;
mod trace;
mod training;

use super::planes;
use config::{ARCHITECTURES, Config, ID};
use head::Head;
use joined::Joined;
use ocellus_media::{PixelRecipe, Resize};

const RECIPE: PixelRecipe = planes::halves(Resize::ShorterSideBounded {
    shorter: 384,
    bound: (1333, 800),
    multiple: 32,
});

pub(super) const FAMILY: Family = Family {
    id: ID,
    architectures: ARCHITECTURES,
    anchors: &["vilt.embeddings.text_embeddings.word_embeddings.weight"],
    also: &[],
    claims: |_| false,
    tasks: &[Task::Ask, Task::Score, Task::Fill],
    load: |config, params| Ok(Box::new(Vilt::load(Config::read(config, params)?, params)?)),
    shape: None,
    // Copies of the token embedding table, and of its bias under the name in older files.
    processors: &[("vilt", RECIPE)],
    unused: &["mlm_score.decoder.weight", "mlm_score.bias"],
    trace: Some(|config, params| Ok(Box::new(Vilt::load(Config::read(config, params)?, params)?))),
    learner: Some(|config, params| {
        let model = Vilt::load(Config::read(config, params)?, params)?;
        Ok(model
            .head
            .matching()
            .is_some()
            .then(|| Box::new(model) as Box<dyn Learner>))
    }),
    trains: |_| true,
};

const PATCHES: Names = &[
    ("patch", "patch_embeddings.projection"),
    ("class_token", "cls_token"),
    ("positions", "position_embeddings"),
];

const LAYERS: Names = &[
    ("layers", "layer"),
    ("attn.q_proj", "attention.attention.query"),
    ("attn.k_proj", "attention.attention.key"),
    ("attn.v_proj", "attention.attention.value"),
    ("attn.o_proj", "attention.output.dense"),
    ("norm1", "layernorm_before"),
    ("norm2", "layernorm_after"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
];

struct Vilt {
    facts: Facts,
    config: Config,
    words: Embeddings,
    patches: Tower,
    /// Modality embeddings `[kinds, width]`: text, picture, second picture.
    kinds: Tensor,
    encoder: Encoder,
    norm: NormLayer,
    pooler: Linear,
    head: Head,
}

/// Outputs of the last layer.
struct Encoded {
    joined: Joined,
    /// `[tokens, width]`; each text stands before its picture.
    states: Tensor,
    /// Pooler output for the first token of each pair, `[texts, width]`.
    pooled: Tensor,
}

impl Vilt {
    fn load(config: Config, p: &Params) -> Result<Self, ModelError> {
        let (model, width) = (p.at("vilt"), config.block.width);
        let embeddings = model.at("embeddings");
        let words = Embeddings::load(&embeddings.at("text_embeddings"), &config.words())?;
        Ok(Self {
            facts: config.facts(),
            head: Head::load(p, &config, &words.words)?,
            words,
            patches: Tower::load(&embeddings.named(PATCHES), config.patches())?,
            kinds: embeddings
                .at("token_type_embeddings")
                .tensor("weight", &[config.kinds, width])?,
            encoder: Encoder::load(&model.at("encoder").named(LAYERS), &config.encoder())?,
            norm: config.block.norm.load(&model.at("layernorm"), width)?,
            pooler: Linear::load(&model.at("pooler.dense"), width, width, true)?,
            config,
        })
    }

    /// Encodes text `i` with picture `i`; `kind` is 1 for the first picture of a text, 2 for the second. Taps `text_embeds`,
    /// `image_embeds`, `hidden_N` and `hidden_last`, packed.
    fn pass(
        &self,
        (texts, types): (&PackedTexts, &[u32]),
        (patches, grids): (&Tensor, &[(usize, usize)]),
        kind: u32,
        taps: &mut Taps,
    ) -> Result<Encoded, ModelError> {
        texts.check(self.config.vocab, self.config.positions)?;
        self.config.check_types(types)?;
        self.config.check_grids(grids)?;
        let columns: Vec<u32> = texts.columns().into_iter().map(|c| c as u32).collect();
        let words = self.words.forward(&texts.ids, &columns, types)?;
        taps.tap("text_embeds", &words);
        let seen = self.patches.embed(patches, grids, &mut Taps::none())?;
        taps.tap("image_embeds", &seen);
        let of_kind = |x: Tensor, kind: u32| x.broadcast_add(&rows(&self.kinds, &[kind])?);
        let (words, seen) = (of_kind(words, 0)?, of_kind(seen, kind)?);

        let pictures: Vec<usize> = grids.iter().map(|g| self.patches.tokens(*g)).collect();
        let joined = Joined::new(&texts.lengths, &pictures);
        let x = rows(&Tensor::cat(&[words, seen], 0)?, &joined.order)?;
        let (segments, layers) = (segments(joined.lengths.iter().copied()), 0..self.encoder.len());
        let mask = Mask::whole(&segments);
        let x = self
            .encoder
            .forward(&x, layers, &mask, None, None, ("hidden", taps))?;
        let states = self.norm.forward(&x)?;
        taps.tap("hidden_last", &states);
        let pooled = self.pooler.forward(&rows(&states, &joined.firsts)?)?;
        Ok(Encoded {
            joined,
            states,
            pooled: activate(&pooled, Act::Tanh)?,
        })
    }

    /// Encodes every text with each of its consecutive pictures → pooler outputs side by side, `[texts, pictures · width]`.
    fn passes(
        &self,
        (texts, types): (&PackedTexts, &[u32]),
        visual: &VisualInput,
        taps: &mut Taps,
    ) -> Result<(Encoded, Tensor), ModelError> {
        let (patches, grids) = visual.stills(self.facts.patch_features)?;
        let each = self.head.pictures();
        if grids.len() != each * texts.lengths.len() {
            let expected = format!("{each} a text, {}", each * texts.lengths.len());
            return Err(ModelError::input("the pictures", expected, grids.len()));
        }
        let starts = grids.iter().scan(0, |next, grid| {
            *next += grid.0 * grid.1;
            Some(*next - grid.0 * grid.1)
        });
        let starts: Vec<usize> = starts.collect();
        let pass = |number: usize, taps: &mut Taps| {
            let own = || (number..grids.len()).step_by(each);
            let parts = own().map(|i| patches.narrow(0, starts[i], grids[i].0 * grids[i].1));
            let patches = Tensor::cat(&parts.collect::<Result<Vec<_>, _>>()?, 0)?;
            let grids: Vec<_> = own().map(|i| grids[i]).collect();
            self.pass((texts, types), (&patches, &grids), number as u32 + 1, taps)
        };
        let first = pass(0, taps)?;
        let mut pooled = vec![first.pooled.clone()];
        for number in 1..each {
            pooled.push(pass(number, &mut Taps::none())?.pooled);
        }
        Ok((first, Tensor::cat(&pooled, 1)?))
    }

    /// As [`passes`](Self::passes), for texts of token type 0.
    fn read(&self, visual: &VisualInput, texts: &Texts) -> Result<(Encoded, Tensor), ModelError> {
        let texts = PackedTexts::of_texts(texts);
        self.passes((&texts, &vec![0; texts.ids.len()]), visual, &mut Taps::none())
    }
}

impl Model for Vilt {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn input(&self) -> InputSpec {
        let table = self.patches.spec().positions.unwrap_or((12, 12));
        InputSpec {
            visual: planes::sized(RECIPE, table, self.facts.patch_size),
            text: planes::within(planes::SENTENCE, self.facts.max_positions),
            ..InputSpec::default()
        }
    }

    fn matcher(&self) -> Option<&dyn ImageTextMatcher> {
        self.head.matches().then_some(self)
    }

    fn classifier(&self) -> Option<&dyn Classifier> {
        matches!(self.head, Head::Answers(_)).then_some(self)
    }

    fn mlm_head(&self) -> Option<&dyn MlmHead> {
        matches!(self.head, Head::Words { .. }).then_some(self)
    }
}

impl ImageTextMatcher for Vilt {
    fn scores(&self, visual: &VisualInput, texts: &Texts) -> Result<Vec<PairScore>, ModelError> {
        let (_, pooled) = self.read(visual, texts)?;
        let matched = self.head.matched(&pooled)?.to_vec1::<f32>()?;
        let score = |matched| PairScore {
            matched: Some(matched),
            ..PairScore::default()
        };
        Ok(matched.into_iter().map(score).collect())
    }
}

impl Classifier for Vilt {
    fn answers(&self, visual: &VisualInput, questions: &Texts) -> Result<Tensor, ModelError> {
        let (_, pooled) = self.read(visual, questions)?;
        self.head.scores(&pooled)
    }

    fn labels(&self) -> &[String] {
        &self.config.labels
    }

    /// Several answers to a question about one picture may be right; two pictures are told apart by one.
    fn independent(&self) -> bool {
        self.head.pictures() == 1
    }

    fn picture_count(&self) -> usize {
        self.head.pictures()
    }
}

impl MlmHead for Vilt {
    fn token_logits(&self, visual: &VisualInput, texts: &Texts) -> Result<Tensor, ModelError> {
        let (pass, _) = self.read(visual, texts)?;
        self.head.scores(&rows(&pass.states, &pass.joined.text)?)
    }
}
