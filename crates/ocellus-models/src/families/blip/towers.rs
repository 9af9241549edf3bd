//! A picture tower and a text tower with a joint embedding space; the text tower can also attend to the picture.

use candle_core::Tensor;
use ocellus_nn::attention::{Mask, segments};
use ocellus_nn::{Linear, Params, Segment, Taps};
use std::sync::Arc;

use super::features::unit;

use super::text::{TextConfig, TextEncoder};
use super::vision::{Pictures, looking, spans};
use crate::dual_encoder::DualEncoder;
use crate::error::ModelError;
use crate::states::States;
use crate::visual_input::{Texts, VisualInput};

pub struct Towers {
    pub pictures: Pictures,
    texts: TextEncoder,
    of_pictures: Linear,
    of_texts: Linear,
}

impl Towers {
    /// Loads the parts whose names end in `copy` (the teacher's suffix, or nothing); `pictures` are loaded already.
    pub fn load(
        p: &Params,
        pictures: Pictures,
        text: &TextConfig,
        (width, joint): (usize, usize),
        copy: &str,
    ) -> Result<Self, ModelError> {
        let part = |name: &str| p.at(format!("{name}{copy}"));
        Ok(Self {
            pictures,
            texts: text.encoder(&part("text_encoder"))?,
            of_pictures: Linear::load(&part("vision_proj"), width, joint, true)?,
            of_texts: Linear::load(&part("text_proj"), text.width(), joint, true)?,
        })
    }

    /// Encodes texts that attend to their pictures → states. Taps `text_hidden_N`.
    pub fn grounded(&self, texts: &Packed, seen: &States, taps: &mut Taps) -> Result<States, ModelError> {
        let across = looking(&texts.lengths, spans(&seen.lengths));
        let memory = Some((&seen.rows, &Mask::whole(&across)));
        let taps = ("text_hidden", taps);
        let rows = self
            .texts
            .forward(&texts.ids, &texts.positions, &texts.own, memory, taps)?;
        Ok(texts.states(rows))
    }

    /// Encodes texts alone → states.
    pub fn alone(&self, texts: &Packed) -> Result<States, ModelError> {
        let taps = ("text_hidden", &mut Taps::none());
        let rows = self
            .texts
            .forward(&texts.ids, &texts.positions, &texts.own, None, taps)?;
        Ok(texts.states(rows))
    }
}

impl DualEncoder for Towers {
    fn pictures(&self, visual: &VisualInput) -> Result<States, ModelError> {
        let (patches, grids) = visual.pictures()?;
        Ok(States {
            rows: self.pictures.encode(patches, grids, &mut Taps::none())?,
            lengths: self.pictures.tokens(grids),
        })
    }

    fn texts(&self, texts: &Texts) -> Result<States, ModelError> {
        self.alone(&Packed::of(texts)?)
    }

    /// The class tokens, projected into the joint embedding space.
    fn picture_features(&self, pictures: &States) -> Result<Tensor, ModelError> {
        unit(&self.of_pictures.forward(&pictures.firsts()?)?)
    }

    fn text_features(&self, texts: &States) -> Result<Tensor, ModelError> {
        unit(&self.of_texts.forward(&texts.firsts()?)?)
    }
}

/// Packed texts.
pub struct Packed {
    ids: Vec<u32>,
    positions: Vec<u32>,
    lengths: Vec<usize>,
    own: Arc<[Segment]>,
}

impl Packed {
    pub fn of(texts: &Texts) -> Result<Self, ModelError> {
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

    fn states(&self, rows: Tensor) -> States {
        let lengths = self.lengths.clone();
        States { rows, lengths }
    }
}
