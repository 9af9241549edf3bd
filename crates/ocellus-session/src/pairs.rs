//! Pictures and texts compared: matching scores, embeddings, labels, masked words, answers from a fixed list.

use std::path::Path;

use candle_core::{Device, Tensor};
use ocellus_models::{PairScore, Regions, Task, VisualFormat, VisualInput};
use ocellus_processor::PixelBounds;
use ocellus_weights::Regions as RegionsFile;

use crate::error::SessionError;
use crate::session::Session;

/// The mask of a missing word.
pub const MASK: &str = "[MASK]";
/// Answers of a fixed list that are returned beside the first.
const ANSWERS: usize = 5;

/// An input for [`Session::embed`], prepared.
pub enum EmbedInput {
    Picture(VisualInput),
    Text(Vec<u32>),
}

impl Session {
    /// Fails unless the model takes the caller's input: pictures, or regions from a detector.
    ///
    /// # Errors
    /// [`SessionError::LooksAtRegions`] and [`SessionError::LooksAtPictures`].
    pub fn check_sight(&self, regions: bool) -> Result<(), SessionError> {
        let name = self.name().to_owned();
        match (self.model().input().visual, regions) {
            (VisualFormat::Regions { .. }, false) => Err(SessionError::LooksAtRegions { name }),
            (VisualFormat::VisualTokens(_) | VisualFormat::Planes(_), true) => {
                Err(SessionError::LooksAtPictures { name })
            }
            _ => Ok(()),
        }
    }

    /// A picture for models that take it beside the text, not as visual tokens in the prompt.
    ///
    /// # Errors
    /// What is no picture; a model that takes pictures in its text, or regions.
    pub fn sight(&self, picture: &[u8]) -> Result<VisualInput, SessionError> {
        self.sights(&[picture])
    }

    /// The same of several pictures that belong together.
    ///
    /// # Errors
    /// As [`sight`](Self::sight).
    pub fn sights(&self, pictures: &[&[u8]]) -> Result<VisualInput, SessionError> {
        self.check_sight(false)?;
        if matches!(self.model().input().visual, VisualFormat::VisualTokens(_)) {
            return Err(SessionError::PicturesInText {
                name: self.name().to_owned(),
            });
        }
        let prepared = pictures.iter().map(|p| self.picture(p, PixelBounds::default()));
        let prepared = prepared.collect::<Result<Vec<_>, _>>()?;
        let patches: Vec<&Tensor> = prepared.iter().map(|picture| &picture.patches).collect();
        Ok(VisualInput::Pictures {
            patches: Tensor::cat(&patches, 0)?,
            grids: prepared.iter().map(|picture| picture.geometry.grid).collect(),
        })
    }

    /// What a detector found in a picture, from the file that it wrote.
    ///
    /// # Errors
    /// A file that cannot be used; a model that takes pictures.
    pub fn regions(&self, file: &Path) -> Result<VisualInput, SessionError> {
        self.check_sight(true)?;
        let VisualFormat::Regions { width } = self.model().input().visual else {
            unreachable!("a model that looks at regions says their width")
        };
        let read = RegionsFile::from_file(file, width)?;
        let shape = (read.boxes.len(), read.features_width);
        Ok(VisualInput::Regions(vec![Regions {
            features: Tensor::from_vec(read.features, shape, &Device::Cpu)?,
            boxes: read.boxes,
            width: read.image_width,
            height: read.image_height,
        }]))
    }

    /// Image-text matching score of each text.
    ///
    /// # Errors
    /// A model without a head for it.
    pub fn score(&self, sight: &VisualInput, texts: &[String]) -> Result<Vec<PairScore>, SessionError> {
        let matcher = self.model().matcher().ok_or_else(|| self.cannot(Task::Score))?;
        let ids = self.ids(texts)?;
        let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let sight = self.own(sight.pick(&vec![0; ids.len()]))?;
        self.own(matcher.scores(&sight, &ids))
    }

    /// The probability of each sentence among all of them, in their order.
    ///
    /// # Errors
    /// A model that does not put pictures and texts into one space.
    pub fn classify(&self, sight: &VisualInput, sentences: &[String]) -> Result<Vec<f32>, SessionError> {
        let embedder = self
            .model()
            .embedder()
            .ok_or_else(|| self.cannot(Task::Classify))?;
        let ids = self.ids(sentences)?;
        let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let picture = self.own(embedder.pictures(sight))?;
        let texts = self.own(embedder.texts(&ids))?;
        let similarities = texts.matmul(&picture.t()?)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(ocellus_tasks::classify::shares(&similarities, embedder.scale()?))
    }

    /// The likeliest `top` words and their probabilities for every [`MASK`] of a text.
    ///
    /// # Errors
    /// A model without a head for it.
    pub fn fill(
        &self,
        sight: &VisualInput,
        text: &str,
        top: usize,
    ) -> Result<Vec<Vec<(String, f32)>>, SessionError> {
        let head = self.model().mlm_head().ok_or_else(|| self.cannot(Task::Fill))?;
        let words = self.text()?;
        let mask = words
            .tokenizer
            .token_id(MASK)
            .ok_or_else(|| SessionError::NoToken {
                name: self.name().to_owned(),
                token: MASK.to_owned(),
            })?;
        let ids = words.text_with(&self.model().input().text, text, MASK)?;
        let scores = self.own(head.token_logits(sight, &[&ids]))?.to_vec2::<f32>()?;
        let masked = scores.iter().zip(&ids).filter(|(_, id)| **id == mask);
        let word = |(id, p)| (words.tokenizer.token(id).unwrap_or_default(), p);
        let likeliest = |row: &Vec<f32>| ocellus_tasks::classify::likeliest(row, top);
        Ok(masked
            .map(|(row, _)| likeliest(row).into_iter().map(word).collect())
            .collect())
    }

    /// A picture's bytes as an input for [`embed`](Self::embed).
    ///
    /// # Errors
    /// As [`sight`](Self::sight).
    pub fn embed_picture(&self, picture: &[u8]) -> Result<EmbedInput, SessionError> {
        Ok(EmbedInput::Picture(self.sight(picture)?))
    }

    /// A text as an input for [`embed`](Self::embed).
    ///
    /// # Errors
    /// A model that takes no text.
    pub fn embed_text(&self, text: &str) -> Result<EmbedInput, SessionError> {
        Ok(EmbedInput::Text(self.ids(&[text])?.concat()))
    }

    /// The vector of an input, of norm 1.
    ///
    /// # Errors
    /// A model that does not put pictures and texts into one space.
    pub fn embed(&self, input: &EmbedInput) -> Result<Vec<f32>, SessionError> {
        let embedder = self.model().embedder().ok_or_else(|| self.cannot(Task::Embed))?;
        let vector = match input {
            EmbedInput::Picture(sight) => self.own(embedder.pictures(sight))?,
            EmbedInput::Text(ids) => self.own(embedder.texts(&[ids]))?,
        };
        Ok(vector.flatten_all()?.to_vec1()?)
    }

    /// The likeliest few answers of a model that chooses from a fixed list, and their probabilities.
    ///
    /// # Errors
    /// A model without such a list.
    pub fn choose_answer(
        &self,
        sight: &VisualInput,
        question: &str,
    ) -> Result<Vec<(String, f32)>, SessionError> {
        let classifier = self.model().classifier().ok_or_else(|| self.cannot(Task::Ask))?;
        let ids = self.ids(&[question])?;
        let scores = self.own(classifier.answers(sight, &[&ids[0]]))?;
        let scores = scores.flatten_all()?.to_vec1::<f32>()?;
        let label = |id: u32| {
            let known = classifier.labels().get(id as usize).cloned();
            known.unwrap_or_else(|| format!("#{id}"))
        };
        let best = match classifier.independent() {
            true => ocellus_tasks::classify::likeliest_each(&scores, ANSWERS),
            false => ocellus_tasks::classify::likeliest(&scores, ANSWERS),
        };
        Ok(best.into_iter().map(|(id, p)| (label(id), p)).collect())
    }
}
