//! Image-text retrieval: two towers with a joint embedding space, and a matching head over texts that were encoded with the
//! picture.

use candle_core::Tensor;
use ocellus_nn::{Linear, Params, Taps};

use super::features::pair_scores;
use super::text::TextConfig;
use super::towers::{Packed, Towers};
use super::vision::{Pictures, RECIPE};
use crate::capabilities::{Embedder, ImageTextMatcher, PairScore};
use crate::dual_encoder::DualEncoder;
use crate::error::ModelError;
use crate::facts::Facts;
use crate::families::planes;
use crate::input::InputSpec;
use crate::model::Model;
use crate::reference::{Given, Trace};
use crate::states::States;
use crate::visual_input::{Texts, VisualInput};

pub struct Retrieval {
    pub(super) towers: Towers,
    matching: Linear,
    scale: f32,
}

impl Retrieval {
    /// `widths`: of the picture's tokens, and of the joint embedding space.
    pub fn load(
        p: &Params,
        pictures: Pictures,
        text: &TextConfig,
        widths: (usize, usize),
        scale: f32,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            towers: Towers::load(p, pictures, text, widths, "")?,
            matching: Linear::load(&p.at("itm_head"), text.width(), 2, true)?,
            scale,
        })
    }

    /// Matching logits (no match, match) of texts that were encoded with their pictures, `[texts, 2]`.
    pub(super) fn matches(&self, grounded: &States) -> Result<Tensor, ModelError> {
        Ok(self.matching.forward(&grounded.firsts()?)?)
    }
}

impl Model for Retrieval {
    fn facts(&self) -> &Facts {
        &self.towers.pictures.facts
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            visual: self.towers.pictures.format(RECIPE),
            text: planes::within(planes::SENTENCE, self.towers.pictures.facts.max_positions),
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
        let (pictures, packed) = (self.towers.pictures(visual)?, Packed::of(texts)?);
        if pictures.lengths.len() != texts.len() {
            return Err(ModelError::input(
                "pairs",
                format!("{} texts", pictures.lengths.len()),
                texts.len(),
            ));
        }
        let grounded = self.towers.grounded(&packed, &pictures, &mut Taps::none())?;
        let of_pictures = self.towers.picture_features(&pictures)?;
        let of_texts = self.towers.text_features(&self.towers.alone(&packed)?)?;
        pair_scores(&self.matches(&grounded)?, &(of_pictures * of_texts)?.sum(1)?)
    }
}

impl Embedder for Retrieval {
    fn pictures(&self, visual: &VisualInput) -> Result<Tensor, ModelError> {
        self.towers.picture_features(&self.towers.pictures(visual)?)
    }

    fn texts(&self, texts: &Texts) -> Result<Tensor, ModelError> {
        self.towers.text_features(&self.towers.texts(texts)?)
    }

    /// Published files lack the learned temperature; this is its initial value.
    fn scale(&self) -> Result<f32, ModelError> {
        Ok(self.scale)
    }
}

impl Trace for Retrieval {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let (visual_tokens, tokens) = self.towers.pictures.traced(given, taps)?;
        let pictures = States {
            rows: visual_tokens,
            lengths: tokens,
        };
        let rows = given.rows("input_ids", "attention_mask")?;
        let texts = rows.split();
        let texts = Packed::of(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let mut padded = |name: &str, t: &Tensor| {
            if let Ok(t) = rows.unpack(t) {
                taps.tap(name, &t);
            }
        };
        let grounded = self
            .towers
            .grounded(&texts, &pictures, &mut Taps::new(&mut padded))?;
        taps.tap("itm_text_out", &rows.unpack(&grounded.rows)?);
        taps.tap("itm_score", &self.matches(&grounded)?);
        let alone = self.towers.alone(&texts)?;
        taps.tap("itc_text_out", &rows.unpack(&alone.rows)?);
        let of_texts = self.towers.text_features(&alone)?;
        let cosines = self.towers.picture_features(&pictures)?.matmul(&of_texts.t()?)?;
        taps.tap("itc_score", &cosines);
        Ok(())
    }
}
