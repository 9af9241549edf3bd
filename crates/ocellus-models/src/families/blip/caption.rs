//! Captions: a decoder that looks at the picture, started by nothing or by the first words.

use candle_core::Tensor;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::{Params, Taps};

use super::taught::taught;
use super::text::Text;
use super::vision::Pictures;
use crate::families::planes;
use crate::given::Given;
use crate::model::{Asked, Model, Trace};
use crate::model::{Phrases, Sees};
use crate::vlm::{Facts, Grid, ModelError, Opening, Prompt, Vlm};
use ocellus_text::TextForm;

pub struct Captioner {
    pictures: Pictures,
    decoder: Decoder,
    text: Text,
}

impl Captioner {
    pub fn load(p: &Params, pictures: Pictures, text: Text) -> Result<Self, ModelError> {
        Ok(Self {
            pictures,
            decoder: text.decoder(&p.at("text_decoder"))?,
            text,
        })
    }

    /// A prompt with its first and last token as the tokeniser adds them, as the decoder starts from it.
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

    fn sees(&self) -> Sees {
        self.pictures.sees(super::RECIPE)
    }

    fn form(&self) -> TextForm {
        planes::within(planes::SENTENCE, self.pictures.facts.max_positions)
    }

    fn phrases(&self) -> Option<Phrases> {
        Some(Phrases {
            caption: "a picture of ",
            question: "{}",
        })
    }

    fn ends(&self) -> Vec<u32> {
        vec![self.text.end]
    }

    fn generator(&self) -> Option<&dyn Vlm> {
        Some(self)
    }

    fn tracer(&self) -> Option<&dyn Trace> {
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

    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Tensor, ModelError> {
        self.pictures.encode(patches, grids, taps)
    }

    fn open(
        &self,
        prompts: &[Prompt],
        images: Option<&Tensor>,
        _: Option<&Tensor>,
        taps: &mut Taps,
    ) -> Result<Opening, ModelError> {
        let (cells, tokens) = self.pictures.one_each(prompts, images)?;
        let ids: Vec<Vec<u32>> = prompts
            .iter()
            .map(|p| self.started(p))
            .collect::<Result<_, _>>()?;
        let embeds = self.embed(&ids.concat(), None, None, taps)?;
        let memory = self.decoder.remember(cells, &tokens)?;
        Ok(Opening::counted(ids, embeds, Some(memory)))
    }
}

impl Trace for Captioner {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let (cells, tokens) = self.pictures.traced(given, taps)?;
        let memory = self.decoder.remember(&cells, &tokens)?;
        let names = ("decoder_input_ids", "text_", "logits");
        taught(given, &self.decoder, memory, names, self.text.smoothing, taps)
    }

    fn asked(&self, given: &Given) -> Result<Vec<Asked>, ModelError> {
        let ids = match given.has("input_ids") {
            true => given.rows("input_ids", "attention_mask")?.split(),
            false => {
                let pictures = self.pictures.given(given)?.1.len();
                vec![vec![self.text.start, self.text.end]; pictures]
            }
        };
        self.pictures.asked(given, ids)
    }
}
