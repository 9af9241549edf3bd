//! The capabilities: matching, answers, masked tokens, masked regions, word-region alignment.

use candle_core::{DType, Tensor};
use ocellus_nn::Taps;
use ocellus_nn::losses::log_softmax;
use ocellus_nn::losses::transport::{Proximal, transport};

use super::{GEOMETRY, Joint, Pretrained, Seen, Uniter};
use crate::capabilities::{
    Alignment, Classifier, ImageTextMatcher, MaskedRegionHead, MlmHead, PairScore, RegionPredictions,
    WordRegionAligner,
};
use crate::error::ModelError;
use crate::families::regions::{TypedTexts, check_hidden, pick, regions};
use crate::visual_input::{Regions, Texts, VisualInput};

impl Uniter {
    pub(super) fn pair(
        &self,
        visual: &VisualInput,
        texts: &Texts,
        hidden: Option<&[&[usize]]>,
    ) -> Result<Joint, ModelError> {
        let found = regions(visual, texts.len(), self.config.features)?;
        if let Some(hidden) = hidden {
            check_hidden(hidden, found)?;
        }
        let seen = see(found, |i| hidden.map_or(&[][..], |hidden| hidden[i]))?;
        self.join(&TypedTexts::of(texts), &seen, &mut Taps::none())
    }

    pub(super) fn heads(&self) -> Result<&Pretrained, ModelError> {
        self.pretrained
            .as_ref()
            .ok_or_else(|| ModelError::input("the model", "the heads of pre-training", "none"))
    }
}

fn see<'a>(pictures: &[Regions], hidden: impl Fn(usize) -> &'a [usize]) -> Result<Seen, ModelError> {
    let (mut geometry, mut masks, mut features) = (Vec::new(), Vec::new(), Vec::new());
    for (i, picture) in pictures.iter().enumerate() {
        let (w, h) = (picture.width, picture.height);
        for [x1, y1, x2, y2] in &picture.boxes {
            let (x1, y1, x2, y2) = (x1 / w, y1 / h, x2 / w, y2 / h);
            let (w, h) = (x2 - x1, y2 - y1);
            geometry.extend([x1, y1, x2, y2, w, h, w * h]);
        }
        let count = picture.boxes.len();
        let hidden = hidden(i);
        let shown: Vec<f32> = (0..count)
            .map(|r| if hidden.contains(&r) { 0.0 } else { 1.0 })
            .collect();
        let shown = Tensor::from_vec(shown, (count, 1), picture.features.device())?;
        let shown = shown.to_dtype(picture.features.dtype())?;
        features.push(picture.features.broadcast_mul(&shown)?);
        masks.extend((0..count).map(|r| hidden.contains(&r)));
    }
    let features = Tensor::cat(&features, 0)?;
    Ok(Seen {
        geometry: Tensor::from_vec(geometry, (masks.len(), GEOMETRY), features.device())?,
        features,
        hidden: masks,
        lengths: pictures.iter().map(|p| p.boxes.len()).collect(),
    })
}

impl ImageTextMatcher for Uniter {
    fn scores(&self, visual: &VisualInput, texts: &Texts) -> Result<Vec<PairScore>, ModelError> {
        let pooled = self.pooled(&self.pair(visual, texts, None)?)?;
        let logits = self.heads()?.matching.forward(&pooled)?;
        // Class 1 is "match".
        let matched: Vec<f32> = log_softmax(&logits)?.exp()?.get_on_dim(1, 1)?.to_vec1()?;
        let score = |p: f32| PairScore {
            matched: Some(p),
            similarity: None,
        };
        Ok(matched.into_iter().map(score).collect())
    }
}

impl Classifier for Uniter {
    fn answers(&self, visual: &VisualInput, questions: &Texts) -> Result<Tensor, ModelError> {
        let Some(head) = &self.questions else {
            return Err(ModelError::input("the model", "a question head", "none"));
        };
        head.forward(&self.pooled(&self.pair(visual, questions, None)?)?)
    }

    fn labels(&self) -> &[String] {
        &self.config.labels
    }
}

impl MlmHead for Uniter {
    fn token_logits(&self, visual: &VisualInput, texts: &Texts) -> Result<Tensor, ModelError> {
        let joint = self.pair(visual, texts, None)?;
        Ok(self.heads()?.words.forward(&pick(&joint.states, &joint.words)?)?)
    }
}

impl MaskedRegionHead for Uniter {
    fn predictions(
        &self,
        visual: &VisualInput,
        texts: &Texts,
        hidden: &[&[usize]],
    ) -> Result<RegionPredictions, ModelError> {
        let joint = self.pair(visual, texts, Some(hidden))?;
        let (mut index, mut regions) = (Vec::new(), &joint.regions[..]);
        for (hidden, picture) in hidden.iter().zip(visual.regions()?) {
            let (own, rest) = regions.split_at(picture.boxes.len());
            index.extend(hidden.iter().map(|r| own[*r]));
            regions = rest;
        }
        let (heads, states) = (self.heads()?, pick(&joint.states, &index)?);
        Ok(RegionPredictions {
            classes: Some(heads.classes.forward(&states)?),
            features: Some(heads.regressed(&states)?),
        })
    }
}

impl WordRegionAligner for Uniter {
    fn alignments(&self, visual: &VisualInput, texts: &Texts) -> Result<Vec<Alignment>, ModelError> {
        let joint = self.pair(visual, texts, None)?;
        let words: Vec<usize> = texts.iter().map(|t| t.len()).collect();
        let found = joint.transports(&words)?;
        let alignment = |(plan, distance): (Tensor, Tensor)| {
            Ok(Alignment {
                plan,
                distance: distance.to_scalar()?,
            })
        };
        found.into_iter().map(alignment).collect()
    }
}

impl Joint {
    /// The optimal transport plan `[words, regions]` and its cost for each sequence; `words[i]` is the number of tokens of text
    /// `i`.
    pub(super) fn transports(&self, words: &[usize]) -> Result<Vec<(Tensor, Tensor)>, ModelError> {
        let (mut start, mut found) = (0, Vec::with_capacity(words.len()));
        for (words, length) in words.iter().zip(&self.lengths) {
            let row = self.states.narrow(0, start, *length)?.to_dtype(DType::F32)?;
            let of_words = row.narrow(0, 0, *words)?;
            let of_regions = row.narrow(0, *words, length - words)?;
            let carried = transport(&of_words, &of_regions, Proximal::default())?;
            found.push((carried.plan, carried.distance));
            start += length;
        }
        Ok(found)
    }
}
