//! Captions: a decoder that attends to the picture and continues an optional prompt.

use candle_core::Tensor;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::{Params, Taps};

use super::teacher_forcing::teacher_forced;
use super::text::TextConfig;
use super::vision::{Pictures, RECIPE};
use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::facts::Facts;
use crate::families::planes;
use crate::input::{InputSpec, TaskPrompts};
use crate::model::Model;
use crate::reference::{Given, ReferencePrompt, Trace};
use crate::vlm::{PrefillInput, Prompt, Vlm};
use ocellus_media::Grid;

pub struct Captioner {
    pictures: Pictures,
    decoder: Decoder,
    text: TextConfig,
}

impl Captioner {
    pub fn load(p: &Params, pictures: Pictures, text: TextConfig) -> Result<Self, ModelError> {
        Ok(Self {
            pictures,
            decoder: text.decoder(&p.at("text_decoder"))?,
            text,
        })
    }

    /// The ids that the decoder starts from, made from a prompt with the tokenizer's start and end token: the decoder's start
    /// token replaces the first id, the last is dropped.
    fn started(&self, prompt: &Prompt) -> Result<Vec<u32>, ModelError> {
        match prompt.ids {
            [_, words @ .., _] if words.len() < self.text.positions => {
                Ok([&[self.text.start], words].concat())
            }
            ids => Err(ModelError::input(
                "the prompt",
                format!(
                    "a first and a last token and less than {} between them",
                    self.text.positions
                ),
                format!("{} tokens", ids.len()),
            )),
        }
    }
}

impl Model for Captioner {
    fn facts(&self) -> &Facts {
        &self.pictures.facts
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            system: None,
            visual: self.pictures.format(RECIPE),
            text: planes::within(planes::SENTENCE, self.pictures.facts.max_positions),
            prompts: Some(TaskPrompts {
                caption: "a picture of ",
                question: "{}",
            }),
            end_tokens: vec![self.text.end],
        }
    }

    fn generator(&self) -> Option<&dyn Vlm> {
        Some(self)
    }
}

impl Vlm for Captioner {
    fn facts(&self) -> &Facts {
        &self.pictures.facts
    }

    fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Embeddings, ModelError> {
        Ok(self.pictures.encode(patches, grids, taps)?.into())
    }

    fn visual_tokens(&self, grid: &Grid) -> usize {
        self.pictures.tokens(std::slice::from_ref(grid))[0]
    }

    fn prefill_input(
        &self,
        prompts: &[Prompt],
        images: Option<&Embeddings>,
        _: Option<&Embeddings>,
        taps: &mut Taps,
    ) -> Result<PrefillInput, ModelError> {
        let (visual_tokens, tokens) = self.pictures.one_each(prompts, images.map(|e| &e.rows))?;
        let ids: Vec<Vec<u32>> = prompts
            .iter()
            .map(|p| self.started(p))
            .collect::<Result<_, _>>()?;
        let embeds = self.embed(&ids.concat(), None, None, taps)?.rows;
        let memory = self.decoder.cross_memory(visual_tokens, &tokens)?;
        Ok(PrefillInput::counted(ids, embeds, Some(memory)))
    }
}

impl Trace for Captioner {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let (visual_tokens, tokens) = self.pictures.traced(given, taps)?;
        let memory = self.decoder.cross_memory(&visual_tokens, &tokens)?;
        let names = ("decoder_input_ids", "text_", "logits");
        teacher_forced(given, &self.decoder, memory, names, self.text.smoothing, taps)
    }

    fn prompts(&self, given: &Given) -> Result<Vec<ReferencePrompt>, ModelError> {
        let ids = match given.has("input_ids") {
            true => given.rows("input_ids", "attention_mask")?.split(),
            false => {
                let pictures = self.pictures.given(given)?.1.len();
                vec![vec![self.text.start, self.text.end]; pictures]
            }
        };
        self.pictures.prompts(given, ids)
    }
}
