//! Image-text retrieval: queries and text are encoded separately for the joint embedding space, or together for the matching
//! head.

use candle_core::{D, Tensor};
use ocellus_nn::attention::{Mask, segments};
use ocellus_nn::embeddings::rows;
use ocellus_nn::qformer::Span;
use ocellus_nn::{Linear, Params, Segment, Taps};

use super::config::Config;
use super::picture_queries::{PictureQueries, RECIPE};
use crate::capabilities::{Embedder, ImageTextMatcher, PairScore};
use crate::error::ModelError;
use crate::facts::Facts;
use crate::families::blip::features::{firsts, pair_scores, unit};
use crate::families::blip::vision::{looking, spans};
use crate::families::planes;
use crate::input::InputSpec;
use crate::model::Model;
use crate::packed_texts::PackedTexts;
use crate::reference::{Given, Trace};
use crate::visual_input::{Texts, VisualInput};

/// The initial temperature, which cosines are divided by (section 3.2 takes it from the family's predecessor). Published files
/// lack the learned value.
pub(super) const TEMPERATURE: f32 = 0.07;

/// The attention mask when queries and a text are encoded together.
#[derive(Clone, Copy)]
pub(super) enum Reading {
    /// Bidirectional.
    Whole,
    /// Multimodal causal: queries attend to queries, a token to the queries and to earlier tokens.
    Continuing,
}

pub struct Retrieval {
    pub(super) picture_queries: PictureQueries,
    heads: usize,
    pub(super) words: Tensor,
    positions: Tensor,
    of_pictures: Linear,
    of_texts: Linear,
    matching: Linear,
    image_token: Option<u32>,
}

impl Retrieval {
    pub fn load(p: &Params, picture_queries: PictureQueries, config: &Config) -> Result<Self, ModelError> {
        let (width, joint) = (config.qformer.width, config.joint);
        let table = |name: &str, rows: usize| p.at("embeddings").at(name).tensor("weight", &[rows, width]);
        let linear = |name: &str, outputs| Linear::load(&p.at(name), width, outputs, true);
        let words = table("word_embeddings", config.tables.vocab)?;
        Ok(Self {
            heads: config.qformer.attention.heads,
            words,
            positions: table("position_embeddings", config.tables.positions)?,
            of_pictures: linear("vision_projection", joint)?,
            of_texts: linear("text_projection", joint)?,
            matching: linear("itm_head", 2)?,
            picture_queries,
            image_token: config.image_token,
        })
    }

    /// Packed embeddings `[tokens, width]` of texts, and their lengths.
    fn read(&self, texts: &Texts) -> Result<(Tensor, Vec<usize>), ModelError> {
        let (ids, vocab, most) = (texts.concat(), self.words.dim(0)?, self.positions.dim(0)?);
        if let Some(&id) = ids.iter().find(|id| **id as usize >= vocab) {
            return Err(ModelError::Vocabulary { id, vocab });
        }
        let lengths: Vec<usize> = texts.iter().map(|t| t.len()).collect();
        if let Some(wrong) = lengths.iter().find(|n| !(1..=most).contains(*n)) {
            return Err(ModelError::input("a text", format!("1 to {most} tokens"), wrong));
        }
        let positions: Vec<u32> = lengths.iter().flat_map(|n| 0..*n as u32).collect();
        let x = (rows(&self.words, &ids)? + rows(&self.positions, &positions)?)?;
        Ok((x, lengths))
    }

    /// Encodes texts without pictures → their features, `[texts, joint]`.
    pub(super) fn text_features(&self, texts: &Texts) -> Result<Tensor, ModelError> {
        let (x, lengths) = self.read(texts)?;
        let own = segments(lengths.iter().copied());
        let part = |text: &usize| Span {
            queries: 0,
            text: *text,
        };
        let parts: Vec<Span> = lengths.iter().map(part).collect();
        let taps = ("qformer_hidden", &mut Taps::none());
        let states = (self.picture_queries.qformer).forward(&x, &parts, &Mask::whole(&own), None, taps)?;
        unit(&self.of_texts.forward(&firsts(&states, &lengths)?)?)
    }

    /// The feature of every query, `[pictures, queries, joint]`.
    pub(super) fn query_features(
        &self,
        visual_tokens: &Tensor,
        tokens: &[usize],
    ) -> Result<Tensor, ModelError> {
        let found = self
            .picture_queries
            .ask(visual_tokens, tokens, &mut Taps::none())?;
        let features = unit(&self.of_pictures.forward(&found)?)?;
        let joint = features.dim(1)?;
        Ok(features.reshape((tokens.len(), self.picture_queries.count(), joint))?)
    }

    /// Encodes queries and text of each pair in one sequence → states, the queries of a pair before its text.
    pub(super) fn together(
        &self,
        texts: &Texts,
        (visual_tokens, tokens): (&Tensor, &[usize]),
        reading: Reading,
        taps: &mut Taps,
    ) -> Result<Tensor, ModelError> {
        if texts.len() != tokens.len() {
            let expected = format!("{} texts", tokens.len());
            return Err(ModelError::input("pairs", expected, texts.len()));
        }
        let (x, lengths) = self.read(texts)?;
        let count = self.picture_queries.count();
        let mut parts = Vec::with_capacity(2 * lengths.len());
        for (first, text) in spans(&lengths) {
            parts.extend([self.picture_queries.queries.clone(), x.narrow(0, first, text)?]);
        }
        let part = |text: &usize| Span {
            queries: count,
            text: *text,
        };
        let pairs: Vec<Span> = lengths.iter().map(part).collect();
        let own = segments(lengths.iter().map(|n| count + n));
        let seen = looking(&vec![count; lengths.len()], spans(tokens));
        let memory = Some((visual_tokens, &Mask::whole(&seen)));
        let (x, taps) = (Tensor::cat(&parts, 0)?, ("qformer_hidden", taps));
        let scores = |s: &Segment| continuing(s, count, self.heads, &x);
        let mask = match reading {
            Reading::Whole => Mask::whole(&own),
            Reading::Continuing => Mask {
                bias: Some(&scores),
                ..Mask::whole(&own)
            },
        };
        Ok((self.picture_queries.qformer).forward(&x, &pairs, &mask, memory, taps)?)
    }

    /// Matching logits (no match, match), the mean over the queries of each pair: `[pairs, 2]`.
    pub(super) fn matching(&self, states: &Tensor, texts: &Texts) -> Result<Tensor, ModelError> {
        let (count, mut first, mut queries) = (self.picture_queries.count(), 0, Vec::new());
        for text in texts {
            queries.push(states.narrow(0, first, count)?);
            first += count + text.len();
        }
        let logits = self.matching.forward(&Tensor::cat(&queries, 0)?)?;
        Ok(logits.reshape((texts.len(), count, 2))?.mean(1)?)
    }

    pub(super) fn see(&self, visual: &VisualInput) -> Result<(Tensor, Vec<usize>), ModelError> {
        let (patches, grids) = visual.pictures()?;
        let visual_tokens = self
            .picture_queries
            .pictures
            .encode(patches, grids, &mut Taps::none())?;
        Ok((visual_tokens, self.picture_queries.pictures.tokens(grids)))
    }
}

impl Model for Retrieval {
    fn facts(&self) -> &Facts {
        &self.picture_queries.pictures.facts
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            visual: self.picture_queries.pictures.format(RECIPE),
            text: planes::within(
                planes::SENTENCE,
                self.picture_queries.pictures.facts.max_positions,
            ),
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

impl ImageTextMatcher for Retrieval {
    fn scores(&self, visual: &VisualInput, texts: &Texts) -> Result<Vec<PairScore>, ModelError> {
        let (visual_tokens, tokens) = self.see(visual)?;
        let states = self.together(
            texts,
            (&visual_tokens, &tokens),
            Reading::Whole,
            &mut Taps::none(),
        )?;
        let of_texts = self.text_features(texts)?.unsqueeze(1)?;
        let of_pictures = self.query_features(&visual_tokens, &tokens)?;
        let cosines = of_pictures.broadcast_mul(&of_texts)?.sum(2)?.max(1)?;
        pair_scores(&self.matching(&states, texts)?, &cosines)
    }
}

impl Embedder for Retrieval {
    /// The mean of a picture's query features, brought to length 1. A text's similarity in [`Matcher::pairs`] is that to the
    /// best query and may be higher.
    fn pictures(&self, visual: &VisualInput) -> Result<Tensor, ModelError> {
        let (visual_tokens, tokens) = self.see(visual)?;
        unit(&self.query_features(&visual_tokens, &tokens)?.mean(1)?)
    }

    fn texts(&self, texts: &Texts) -> Result<Tensor, ModelError> {
        self.text_features(texts)
    }

    fn scale(&self) -> Result<f32, ModelError> {
        Ok(1.0 / TEMPERATURE)
    }
}

/// The multimodal causal mask as a bias added to the attention scores, `[heads, q_len, k_len]`: queries attend to queries; a text
/// token attends to all queries and to no later token.
fn continuing(segment: &Segment, queries: usize, heads: usize, like: &Tensor) -> candle_core::Result<Tensor> {
    let length = segment.q_len;
    let score = |(i, j): (usize, usize)| match j < queries || (i >= queries && j <= i) {
        true => 0f32,
        false => f32::NEG_INFINITY,
    };
    let all = (0..length).flat_map(|i| (0..length).map(move |j| (i, j)));
    let one = Tensor::from_iter(all.map(score), like.device())?;
    one.reshape((1, length, length))?.repeat((heads, 1, 1))
}

impl Trace for Retrieval {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let (visual_tokens, tokens) = self.picture_queries.pictures.traced(given, taps)?;
        let count = self.picture_queries.count();
        // Where the config has an image token, the reference's texts begin with one for every query.
        let real = texts(given, self.image_token.map_or(0, |_| count))?;
        let texts = real.split();
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let pairs = behind_queries(&real, count);
        let mut listen = |name: &str, t: &Tensor| {
            if let Ok(t) = pairs.unpack(t) {
                taps.tap(name, &t);
            }
        };
        let states = self.together(
            &texts,
            (&visual_tokens, &tokens),
            Reading::Whole,
            &mut Taps::new(&mut listen),
        )?;
        taps.tap("qformer_out", &pairs.unpack(&states)?);
        taps.tap("itm_logits", &self.matching(&states, &texts)?);
        let of_pictures = self.query_features(&visual_tokens, &tokens)?;
        taps.tap("itc_image_embeds", &of_pictures);
        let of_texts = self.text_features(&texts)?;
        taps.tap("itc_text_embeds", &of_texts);
        // [pictures, queries, joint] with [texts, joint] → [pictures, texts].
        let (pictures, queries, joint) = of_pictures.dims3()?;
        let cosines = of_pictures
            .reshape((pictures * queries, joint))?
            .matmul(&of_texts.t()?)?;
        let cosines = cosines.reshape((pictures, queries, texts.len()))?;
        taps.tap(
            "itc_logits",
            &cosines.transpose(1, 2)?.contiguous()?.max(D::Minus1)?,
        );
        Ok(())
    }
}

/// The texts of a padded batch without the first `skipped` columns.
fn texts(given: &Given, skipped: usize) -> Result<PackedTexts, ModelError> {
    let mut cut = Given::default();
    for name in ["input_ids", "attention_mask"]
        .into_iter()
        .filter(|n| given.has(n))
    {
        let (shape, values) = given.integers(name, 2)?;
        let rows = values.chunks_exact(shape[1].max(1));
        let left = rows.flat_map(|row| row.iter().skip(skipped).copied()).collect();
        let shape = vec![shape[0], shape[1].saturating_sub(skipped)];
        cut.integers.insert(name.to_owned(), (shape, left));
    }
    cut.rows("input_ids", "attention_mask")
}

/// The same batch with `count` real columns inserted in front.
fn behind_queries(rows: &PackedTexts, count: usize) -> PackedTexts {
    let width = count + rows.length;
    let mut mask: Vec<i64> = (0..rows.lengths.len() * width)
        .map(|place| i64::from(place % width < count))
        .collect();
    for place in &rows.places {
        mask[place / rows.length * width + count + place % rows.length] = 1;
    }
    PackedTexts::from_mask(width, &mask)
}
