//! The capabilities: matching, answers, masked tokens, masked regions.

use candle_core::{D, Tensor};

use super::config::Target;
use super::{PLACE, Seen, Streams, Vilbert};
use crate::capabilities::{
    Classifier, ImageTextMatcher, MaskedRegionHead, MlmHead, PairScore, RegionPredictions,
};
use crate::error::ModelError;
use crate::families::regions::{TypedTexts, check_hidden, pick, regions};
use crate::visual_input::{Regions, Texts, VisualInput};
use ocellus_nn::Taps;

/// Task numbers of the task tokens: captions in pretraining, question answering, caption retrieval.
const CAPTIONS: u32 = 0;
const QUESTIONS: u32 = 1;
const RETRIEVAL: u32 = 7;

/// Regions whose intersection over union with a masked region is above this are left out of the whole-picture mean, since they
/// would reveal the masked region.
const OVERLAP: f32 = 0.4;

impl Vilbert {
    fn pair(
        &self,
        visual: &VisualInput,
        texts: &Texts,
        task: u32,
        hidden: Option<&[&[usize]]>,
    ) -> Result<(Streams, Seen), ModelError> {
        let found = regions(visual, texts.len(), self.config.features)?;
        if let Some(hidden) = hidden {
            check_hidden(hidden, found)?;
        }
        let of_picture = |i: usize| hidden.map_or(&[][..], |hidden| hidden[i]);
        let seen = see(found, of_picture)?;
        let words = TypedTexts::of(texts);
        let streams = self.streams(&words, &vec![task; texts.len()], &seen, &mut Taps::none())?;
        Ok((streams, seen))
    }
}

/// The regions with their geometry; the mean of all of them is inserted as region 0.
fn see<'a>(pictures: &[Regions], hidden: impl Fn(usize) -> &'a [usize]) -> Result<Seen, ModelError> {
    let (mut features, mut places, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for (i, picture) in pictures.iter().enumerate() {
        let hidden = hidden(i);
        let own = |r: usize| if hidden.contains(&r) { 0.0 } else { 1.0 };
        let shown: Vec<f32> = (0..picture.boxes.len()).map(own).collect();
        let shown = Tensor::from_vec(shown, (picture.boxes.len(), 1), picture.features.device())?;
        let shown = picture
            .features
            .broadcast_mul(&shown.to_dtype(picture.features.dtype())?)?;
        let apart = |b: &&[f32; 4]| hidden.iter().all(|h| overlap(b, &picture.boxes[*h]) <= OVERLAP);
        let counted = picture.boxes.iter().filter(apart).count().max(1);
        features.push((shown.sum_keepdim(0)? / counted as f64)?);
        features.push(shown);
        places.extend([0.0, 0.0, 1.0, 1.0, 1.0]);
        for [x1, y1, x2, y2] in &picture.boxes {
            let (w, h) = (picture.width, picture.height);
            places.extend([x1 / w, y1 / h, x2 / w, y2 / h, (x2 - x1) * (y2 - y1) / (w * h)]);
        }
        lengths.push(1 + picture.boxes.len());
    }
    let rows = lengths.iter().sum::<usize>();
    let features = Tensor::cat(&features, 0)?;
    Ok(Seen {
        places: Tensor::from_vec(places, (rows, PLACE), features.device())?,
        features,
        lengths,
    })
}

/// Intersection over union of boxes whose corner pixels are inclusive.
fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let side = |low: f32, high: f32| (high - low + 1.0).max(0.0);
    let area = |b: &[f32; 4]| side(b[0], b[2]) * side(b[1], b[3]);
    let both = side(a[0].max(b[0]), a[2].min(b[2])) * side(a[1].max(b[1]), a[3].min(b[3]));
    let either = area(a) + area(b) - both;
    if either > 0.0 { both / either } else { 0.0 }
}

impl ImageTextMatcher for Vilbert {
    /// From the retrieval head where there is one, otherwise from the pretraining head, whose class 0 is "match".
    fn scores(&self, visual: &VisualInput, texts: &Texts) -> Result<Vec<PairScore>, ModelError> {
        let (streams, _) = self.pair(visual, texts, RETRIEVAL, None)?;
        let odds = match &self.heads {
            Some(heads) => heads.alignment.forward(&streams.fused)?.squeeze(D::Minus1)?,
            None => {
                let logits = self.matching.forward(&streams.fused)?;
                (logits.get_on_dim(1, 0)? - logits.get_on_dim(1, 1)?)?
            }
        };
        let score = |odds: f32| PairScore {
            matched: Some(1.0 / (1.0 + (-odds).exp())),
            similarity: None,
        };
        Ok(odds.to_vec1()?.into_iter().map(score).collect())
    }
}

impl Classifier for Vilbert {
    fn answers(&self, visual: &VisualInput, questions: &Texts) -> Result<Tensor, ModelError> {
        let Some(heads) = &self.heads else {
            return Err(ModelError::input("the model", "a question head", "none"));
        };
        let (streams, _) = self.pair(visual, questions, QUESTIONS, None)?;
        heads.vqa.forward(&streams.fused)
    }

    fn labels(&self) -> &[String] {
        &self.config.labels
    }
}

impl MlmHead for Vilbert {
    fn token_logits(&self, visual: &VisualInput, texts: &Texts) -> Result<Tensor, ModelError> {
        let (streams, _) = self.pair(visual, texts, CAPTIONS, None)?;
        let mut own = Vec::new();
        let mut start = 0;
        for n in &streams.lengths {
            // The task token stands second and is not a token of the text.
            let task = self.tasks.is_some().then_some(1);
            own.extend((0..*n as u32).filter(|i| Some(*i) != task).map(|i| start + i));
            start += *n as u32;
        }
        Ok(self.masked_words.forward(&pick(&streams.text, &own)?)?)
    }
}

impl MaskedRegionHead for Vilbert {
    fn predictions(
        &self,
        visual: &VisualInput,
        texts: &Texts,
        hidden: &[&[usize]],
    ) -> Result<RegionPredictions, ModelError> {
        let (streams, seen) = self.pair(visual, texts, CAPTIONS, Some(hidden))?;
        let (mut index, mut start) = (Vec::new(), 0);
        for (hidden, n) in hidden.iter().zip(&seen.lengths) {
            // Region 0 stands for the whole picture, so indices are shifted by one.
            index.extend(hidden.iter().map(|r| start + 1 + *r as u32));
            start += *n as u32;
        }
        let guessed = Some(self.masked_regions.forward(&pick(&streams.image, &index)?)?);
        Ok(match self.config.target {
            Target::Classes => RegionPredictions {
                classes: guessed,
                features: None,
            },
            Target::Features | Target::Contrast => RegionPredictions {
                classes: None,
                features: guessed,
            },
        })
    }
}
