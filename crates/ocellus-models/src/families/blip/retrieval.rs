//! How well texts and pictures fit: two towers of one space, and a head over a text that was read with the picture.

use candle_core::{D, Tensor};
use ocellus_nn::attention::{Mask, segments};
use ocellus_nn::{Linear, Params, Segment, Taps};
use std::sync::Arc;

use super::text::{Text, TextEncoder};
use super::vision::{Pictures, looking, spans};
use crate::families::planes;
use crate::given::Given;
use crate::model::Sees;
use crate::model::{Embedder, Matcher, Model, PairScore, Sight, Texts, Trace};
use crate::vlm::{Facts, ModelError};
use ocellus_text::TextForm;

/// Rows of length 1.
pub fn unit(x: &Tensor) -> Result<Tensor, ModelError> {
    let length = x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?.maximum(1e-12)?;
    Ok(x.broadcast_div(&length)?)
}

/// Scores of pairs from two-class logits `[pairs, 2]` and cosines `[pairs]`.
pub fn pair_scores(matching: &Tensor, cosines: &Tensor) -> Result<Vec<PairScore>, ModelError> {
    let (logits, cosines) = (matching.to_vec2::<f32>()?, cosines.to_vec1::<f32>()?);
    let score = |(logits, cosine): (&Vec<f32>, f32)| PairScore {
        matched: Some(1.0 / (1.0 + (logits[0] - logits[1]).exp())),
        similarity: Some(cosine),
    };
    Ok(logits.iter().zip(cosines).map(score).collect())
}

pub struct Retrieval {
    pictures: Pictures,
    texts: TextEncoder,
    matching: Linear,
    of_pictures: Linear,
    of_texts: Linear,
    scale: f32,
}

impl Retrieval {
    pub fn load(
        p: &Params,
        pictures: Pictures,
        text: &Text,
        (width, joint): (usize, usize),
        scale: f32,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            pictures,
            texts: text.encoder(&p.at("text_encoder"))?,
            matching: Linear::load(&p.at("itm_head"), text.width(), 2, true)?,
            of_pictures: Linear::load(&p.at("vision_proj"), width, joint, true)?,
            of_texts: Linear::load(&p.at("text_proj"), text.width(), joint, true)?,
            scale,
        })
    }

    /// Texts read with the pictures → states.
    fn grounded(
        &self,
        texts: &Packed,
        seen: (&Tensor, &[usize]),
        taps: &mut Taps,
    ) -> Result<Tensor, ModelError> {
        let across = looking(&texts.lengths, spans(seen.1));
        let memory = Some((seen.0, &Mask::whole(&across)));
        self.texts.forward(
            &texts.ids,
            &texts.positions,
            &texts.own,
            memory,
            ("text_hidden", taps),
        )
    }

    /// Texts read alone → states.
    fn alone(&self, texts: &Packed) -> Result<Tensor, ModelError> {
        let taps = ("text_hidden", &mut Taps::none());
        self.texts
            .forward(&texts.ids, &texts.positions, &texts.own, None, taps)
    }

    /// The class tokens of pictures in the joint space.
    fn picture_features(&self, cells: &Tensor, tokens: &[usize]) -> Result<Tensor, ModelError> {
        unit(&self.of_pictures.forward(&firsts(cells, tokens)?)?)
    }

    fn text_features(&self, states: &Tensor, lengths: &[usize]) -> Result<Tensor, ModelError> {
        unit(&self.of_texts.forward(&firsts(states, lengths)?)?)
    }

    fn look(&self, sight: &Sight) -> Result<(Tensor, Vec<usize>), ModelError> {
        let (patches, grids) = sight.pictures()?;
        Ok((
            self.pictures.encode(patches, grids, &mut Taps::none())?,
            self.pictures.tokens(grids),
        ))
    }
}

/// The first row of every block.
pub fn firsts(rows: &Tensor, lengths: &[usize]) -> Result<Tensor, ModelError> {
    let index: Vec<u32> = spans(lengths).map(|(first, _)| first as u32).collect();
    Ok(rows.index_select(&Tensor::from_vec(index, lengths.len(), rows.device())?, 0)?)
}

struct Packed {
    ids: Vec<u32>,
    positions: Vec<u32>,
    lengths: Vec<usize>,
    own: Arc<[Segment]>,
}

impl Packed {
    fn of(texts: &Texts) -> Result<Self, ModelError> {
        if texts.iter().any(|t| t.is_empty()) {
            return Err(ModelError::input("a text", "at least one token", "none"));
        }
        let lengths: Vec<usize> = texts.iter().map(|t| t.len()).collect();
        Ok(Self {
            ids: texts.concat(),
            positions: lengths.iter().flat_map(|n| 0..*n as u32).collect(),
            own: segments(lengths.iter().copied()),
            lengths,
        })
    }
}

impl Model for Retrieval {
    fn facts(&self) -> &Facts {
        &self.pictures.facts
    }

    fn sees(&self) -> Sees {
        self.pictures.sees(super::RECIPE)
    }

    fn form(&self) -> TextForm {
        planes::within(planes::SENTENCE, self.pictures.facts.max_positions)
    }

    fn matcher(&self) -> Option<&dyn Matcher> {
        Some(self)
    }

    fn embedder(&self) -> Option<&dyn Embedder> {
        Some(self)
    }

    fn tracer(&self) -> Option<&dyn Trace> {
        Some(self)
    }
}

impl Matcher for Retrieval {
    fn pairs(&self, sight: &Sight, texts: &Texts) -> Result<Vec<PairScore>, ModelError> {
        let (cells, tokens) = self.look(sight)?;
        if tokens.len() != texts.len() {
            return Err(ModelError::input(
                "pairs",
                format!("{} texts", tokens.len()),
                texts.len(),
            ));
        }
        let texts = Packed::of(texts)?;
        let grounded = self.grounded(&texts, (&cells, &tokens), &mut Taps::none())?;
        let matching = self.matching.forward(&firsts(&grounded, &texts.lengths)?)?;
        let of_pictures = self.picture_features(&cells, &tokens)?;
        let of_texts = self.text_features(&self.alone(&texts)?, &texts.lengths)?;
        pair_scores(&matching, &(of_pictures * of_texts)?.sum(1)?)
    }
}

impl Embedder for Retrieval {
    fn pictures(&self, sight: &Sight) -> Result<Tensor, ModelError> {
        let (cells, tokens) = self.look(sight)?;
        self.picture_features(&cells, &tokens)
    }

    fn texts(&self, texts: &Texts) -> Result<Tensor, ModelError> {
        let texts = Packed::of(texts)?;
        self.text_features(&self.alone(&texts)?, &texts.lengths)
    }

    /// Published files have lost the temperature that was learned; this is where its training started.
    fn scale(&self) -> Result<f32, ModelError> {
        Ok(self.scale)
    }
}

impl Trace for Retrieval {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let (cells, tokens) = self.pictures.traced(given, taps)?;
        let rows = given.rows("input_ids", "attention_mask")?;
        let texts = rows.split();
        let texts = Packed::of(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let mut padded = |name: &str, t: &Tensor| {
            if let Ok(t) = rows.unpack(t) {
                taps.tap(name, &t);
            }
        };
        let grounded = self.grounded(&texts, (&cells, &tokens), &mut Taps::new(&mut padded))?;
        taps.tap("itm_text_out", &rows.unpack(&grounded)?);
        let matching = self.matching.forward(&firsts(&grounded, &texts.lengths)?)?;
        taps.tap("itm_score", &matching);
        let alone = self.alone(&texts)?;
        taps.tap("itc_text_out", &rows.unpack(&alone)?);
        let of_texts = self.text_features(&alone, &texts.lengths)?;
        let cosines = self.picture_features(&cells, &tokens)?.matmul(&of_texts.t()?)?;
        taps.tap("itc_score", &cosines);
        Ok(())
    }
}
