//! Captions and answers: the projected query outputs are the visual tokens of the language model.

use candle_core::Tensor;
use ocellus_nn::attention::Batch;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::ops::loss::{IGNORE, smoothed_cross_entropy};
use ocellus_nn::{Linear, Params, Taps};
use std::sync::Arc;

use super::config::Config;
use super::language::LanguageConfig;
use super::language_model::LanguageModel;
use super::picture_queries::{PictureQueries, RECIPE};
use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::facts::Facts;
use crate::families::blip::vision::single;
use crate::input::{InputSpec, TaskPrompts};
use crate::model::Model;
use crate::packed_texts::PackedTexts;
use crate::reference::{Given, ReferencePrompt, Trace};
use crate::vlm::{PrefillInput, Prompt, Vlm};
use ocellus_media::Grid;
use ocellus_text::TextForm;

pub struct Generate {
    picture_queries: PictureQueries,
    projection: Linear,
    language: LanguageModel,
    /// The id that stands for one visual token, in prompts that say where the picture stands.
    image_token: Option<u32>,
}

impl Generate {
    pub fn load(
        p: &Params,
        picture_queries: PictureQueries,
        config: &Config,
        language: LanguageConfig,
    ) -> Result<Self, ModelError> {
        let (width, outer) = (config.qformer.width, language.width());
        Ok(Self {
            picture_queries,
            projection: Linear::load(&p.at("language_projection"), width, outer, true)?,
            language: language.load(&p.at("language_model"))?,
            image_token: config.image_token,
        })
    }

    /// A prompt with the placeholders of its picture: put in front, unless the prompt already says where they stand.
    fn complete(&self, ids: &[u32]) -> Result<Vec<u32>, ModelError> {
        let count = self.picture_queries.count();
        let found = ids.iter().filter(|id| Some(**id) == self.image_token).count();
        let stand_in = self.image_token.unwrap_or(self.language.pad);
        let all = match found {
            0 => [&vec![stand_in; count], ids].concat(),
            _ => ids.to_vec(),
        };
        if found != 0 && found != count {
            return Err(ModelError::Span {
                kind: "image",
                expected: count,
                found,
            });
        }
        let most = self.language.positions;
        if all.len() > most {
            let expected = format!("at most {most} tokens with its picture's {count}");
            return Err(ModelError::input("the prompt", expected, all.len()));
        }
        Ok(all)
    }

    /// Embeds completed prompts, packed; `visual_tokens` are those of all pictures in order.
    fn merge(&self, ids: &[Vec<u32>], visual_tokens: &Tensor, taps: &mut Taps) -> Result<Tensor, ModelError> {
        let (count, packed) = (self.picture_queries.count(), ids.concat());
        let text = self.embed(&packed, None, None, taps)?.rows;
        let (mut pick, mut next) = (Vec::with_capacity(packed.len()), packed.len() as u32);
        for ids in ids {
            let at_front = !ids.iter().any(|id| Some(*id) == self.image_token);
            for (i, id) in ids.iter().enumerate() {
                let visual_token = if at_front {
                    i < count
                } else {
                    Some(*id) == self.image_token
                };
                pick.push(if visual_token { next } else { pick.len() as u32 });
                next += u32::from(visual_token);
            }
        }
        let (expected, found) = (visual_tokens.dim(0)?, next as usize - packed.len());
        if expected != found {
            return Err(ModelError::Span {
                kind: "image",
                expected,
                found,
            });
        }
        let pick = Tensor::from_vec(pick, packed.len(), text.device())?;
        Ok(Tensor::cat(&[&text, visual_tokens], 0)?.index_select(&pick, 0)?)
    }
}

impl Model for Generate {
    fn facts(&self) -> &Facts {
        &self.picture_queries.pictures.facts
    }

    /// A decoder-only model starts with its start token, an encoder ends with its end token; both are the same token.
    fn input(&self) -> InputSpec {
        let mark = Some("</s>");
        let (first, last) = match self.language.reader.is_some() {
            true => (None, mark),
            false => (mark, None),
        };
        InputSpec {
            visual: self.picture_queries.pictures.format(RECIPE),
            text: TextForm {
                first,
                last,
                ..TextForm::BARE
            },
            prompts: Some(TaskPrompts {
                caption: "a photo of",
                question: match self.language.reader.is_some() {
                    true => "Question: {} Short answer:",
                    false => "Question: {} Answer:",
                },
            }),
            ..InputSpec::default()
        }
    }

    fn generator(&self) -> Option<&dyn Vlm> {
        Some(self)
    }
}

impl Vlm for Generate {
    fn facts(&self) -> &Facts {
        &self.picture_queries.pictures.facts
    }

    fn decoder(&self) -> &Decoder {
        &self.language.decoder
    }

    /// Every picture has as many visual tokens as there are queries.
    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Embeddings, ModelError> {
        let visual_tokens = self.picture_queries.pictures.encode(patches, grids, taps)?;
        let tokens = self.picture_queries.pictures.tokens(grids);
        Ok(self
            .projection
            .forward(&self.picture_queries.ask(&visual_tokens, &tokens, taps)?)?
            .into())
    }

    fn visual_tokens(&self, _: &Grid) -> usize {
        self.picture_queries.count()
    }

    fn prefill_input(
        &self,
        prompts: &[Prompt],
        images: Option<&Embeddings>,
        _: Option<&Embeddings>,
        taps: &mut Taps,
    ) -> Result<PrefillInput, ModelError> {
        let count = single(prompts)?.len() * self.picture_queries.count();
        let Some(visual_tokens) = images else {
            return Err(ModelError::Span {
                kind: "image",
                expected: 0,
                found: count,
            });
        };
        let ids: Vec<Vec<u32>> = prompts
            .iter()
            .map(|p| self.complete(p.ids))
            .collect::<Result<_, _>>()?;
        let lengths: Vec<usize> = ids.iter().map(Vec::len).collect();
        let x = self.merge(&ids, &visual_tokens.rows, taps)?;
        let Some(memory) = self.language.memory(&x, &lengths)? else {
            return Ok(PrefillInput::counted(ids, x, None));
        };
        let ids = vec![vec![self.language.start]; prompts.len()];
        let embeds = self.embed(&ids.concat(), None, None, &mut Taps::none())?.rows;
        Ok(PrefillInput::counted(ids, embeds, Some(memory)))
    }
}

impl Trace for Generate {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let (visual_tokens, tokens) = self.picture_queries.pictures.traced(given, taps)?;
        let each = |t: &Tensor| t.reshape((tokens.len(), (), t.dim(1)?));
        let mut unpacked = |name: &str, t: &Tensor| {
            if let Ok(t) = each(t) {
                taps.tap(name, &t);
            }
        };
        let found = self
            .picture_queries
            .ask(&visual_tokens, &tokens, &mut Taps::new(&mut unpacked))?;
        taps.tap("qformer_out", &each(&found)?);
        let visual_tokens = self.projection.forward(&found)?;
        taps.tap("language_inputs", &each(&visual_tokens)?);
        let rows = given.rows("input_ids", "attention_mask")?;
        let ids: Vec<Vec<u32>> = rows
            .split()
            .iter()
            .map(|ids| self.complete(ids))
            .collect::<Result<_, _>>()?;
        let x = self.merge(&ids, &visual_tokens, &mut Taps::none())?;
        match self.language.memory(&x, &rows.lengths)? {
            Some(memory) => {
                let (rows, next) = self.shifted(given)?;
                let batch = Batch::of(rows.lengths.clone()).across(Some(Arc::new(memory)));
                let x = self.embed(&rows.ids, None, None, &mut Taps::none())?.rows;
                self.scored((&rows, &x, &batch), next, taps)
            }
            None => {
                let next = following(given, &rows)?;
                self.scored((&rows, &x, &Batch::of(rows.lengths.clone())), next, taps)
            }
        }
    }

    fn prompts(&self, given: &Given) -> Result<Vec<ReferencePrompt>, ModelError> {
        let ids = given.rows("input_ids", "attention_mask")?.split();
        self.picture_queries.pictures.prompts(given, ids)
    }
}

impl Generate {
    /// Runs the decoder over given tokens. Taps `logits`, and `loss` where there are targets.
    fn scored(
        &self,
        (rows, x, batch): (&PackedTexts, &Tensor, &Batch),
        targets: Option<Vec<u32>>,
        taps: &mut Taps,
    ) -> Result<(), ModelError> {
        let positions: Vec<[i64; 3]> = rows.counted().iter().map(|i| [i64::from(*i); 3]).collect();
        let hidden = self
            .language
            .decoder
            .forward(x, &positions, batch, None, &mut Taps::none())?;
        let logits = self.language.decoder.logits(&hidden)?;
        taps.tap("logits", &rows.unpack(&logits)?);
        if let Some(targets) = targets {
            taps.tap("loss", &smoothed_cross_entropy(&logits, &targets.into(), 0.0)?);
        }
        Ok(())
    }

    /// The decoder input of an encoder-decoder and its targets: the labels shifted right behind the start token, with padding
    /// where a label is masked; and the labels themselves.
    fn shifted(&self, given: &Given) -> Result<(PackedTexts, Option<Vec<u32>>), ModelError> {
        if given.has("decoder_input_ids") {
            let targets = match given.has("labels") {
                true => Some(targets(given.integers("labels", 2)?.1)),
                false => None,
            };
            return Ok((
                given.rows("decoder_input_ids", "decoder_attention_mask")?,
                targets,
            ));
        }
        let (shape, labels) = given.integers("labels", 2)?;
        let mut rows = PackedTexts::from_mask(shape[1], &vec![1; labels.len()]);
        let before = |place: usize| match place % shape[1] {
            0 => self.language.start,
            _ => u32::try_from(labels[place - 1]).unwrap_or(self.language.pad),
        };
        rows.ids = (0..labels.len()).map(before).collect();
        Ok((rows, Some(targets(labels))))
    }
}

/// Labels as targets; negative labels are ignored.
fn targets(labels: &[i64]) -> Vec<u32> {
    let target = |label: &i64| u32::try_from(*label).unwrap_or(IGNORE);
    labels.iter().map(target).collect()
}

/// For every real token, the label of the next column.
fn following(given: &Given, rows: &PackedTexts) -> Result<Option<Vec<u32>>, ModelError> {
    if !given.has("labels") {
        return Ok(None);
    }
    let (shape, labels) = given.integers("labels", 2)?;
    if shape != [rows.lengths.len(), rows.length] {
        let expected = format!("[{}, {}]", rows.lengths.len(), rows.length);
        return Err(ModelError::input(
            "input `labels`",
            expected,
            format!("{shape:?}"),
        ));
    }
    let labels = targets(labels);
    let next = |place: &usize| match (place + 1) % rows.length {
        0 => IGNORE,
        _ => labels[place + 1],
    };
    Ok(Some(rows.places.iter().map(next).collect()))
}
