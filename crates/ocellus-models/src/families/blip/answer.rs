//! Answers in free text: the question is encoded with the picture, and the answer decoder attends to the states of the question.

use candle_core::Tensor;
use ocellus_nn::attention::Mask;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::{Params, Taps};

use super::teacher_forcing::teacher_forced;
use super::text::{TextConfig, TextEncoder};
use super::vision::{Pictures, RECIPE, looking, spans};
use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::facts::Facts;
use crate::families::planes;
use crate::input::{InputSpec, TaskPrompts};
use crate::model::Model;
use crate::reference::{Given, ReferencePrompt, Trace};
use crate::vlm::{PrefillInput, Prompt, Vlm};
use ocellus_media::Grid;

pub struct AnswerGenerator {
    pictures: Pictures,
    questions: TextEncoder,
    decoder: Decoder,
    text: TextConfig,
}

impl AnswerGenerator {
    pub fn load(p: &Params, pictures: Pictures, text: TextConfig) -> Result<Self, ModelError> {
        Ok(Self {
            pictures,
            questions: text.encoder(&p.at("text_encoder"))?,
            decoder: text.decoder(&p.at("text_decoder"))?,
            text,
        })
    }

    /// Encodes questions with their pictures → states `[tokens, width]`. Padding at the end of a question is encoded, but no
    /// token attends to it.
    fn read(
        &self,
        questions: &[&[u32]],
        (visual_tokens, tokens): (&Tensor, &[usize]),
        taps: (&str, &mut Taps),
    ) -> Result<Tensor, ModelError> {
        let lengths: Vec<usize> = questions.iter().map(|q| q.len()).collect();
        let real = |question: &&[u32]| {
            let padding = question.iter().rev().take_while(|id| **id == self.text.pad);
            question.len() - padding.count()
        };
        let keys = spans(&lengths)
            .zip(questions)
            .map(|((first, _), q)| (first, real(q)));
        let own = looking(&lengths, keys);
        let across = looking(&lengths, spans(tokens));
        let positions: Vec<u32> = lengths.iter().flat_map(|n| 0..*n as u32).collect();
        let memory = Some((visual_tokens, &Mask::whole(&across)));
        self.questions
            .forward(&questions.concat(), &positions, &own, memory, taps)
    }
}

impl Model for AnswerGenerator {
    fn facts(&self) -> &Facts {
        &self.pictures.facts
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            system: None,
            visual: self.pictures.format(RECIPE),
            text: planes::within(planes::SENTENCE, self.pictures.facts.max_positions),
            prompts: Some(TaskPrompts {
                caption: "",
                question: "{}",
            }),
            end_tokens: vec![self.text.end],
        }
    }

    fn generator(&self) -> Option<&dyn Vlm> {
        Some(self)
    }
}

impl Vlm for AnswerGenerator {
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

    /// Prompts are questions with their start and end token. The decoder attends to all states of a question. Where a question
    /// contains padding (in a reference batch), that includes the states of padding, as in the reference's generation; without
    /// padding there are none.
    fn prefill_input(
        &self,
        prompts: &[Prompt],
        images: Option<&Embeddings>,
        _: Option<&Embeddings>,
        taps: &mut Taps,
    ) -> Result<PrefillInput, ModelError> {
        let (visual_tokens, tokens) = self.pictures.one_each(prompts, images.map(|e| &e.rows))?;
        let questions: Vec<&[u32]> = prompts.iter().map(|p| p.ids).collect();
        let lengths: Vec<usize> = questions.iter().map(|q| q.len()).collect();
        let states = self.read(&questions, (visual_tokens, &tokens), ("question_hidden", taps))?;
        let ids = vec![vec![self.text.start]; prompts.len()];
        let embeds = self.embed(&ids.concat(), None, None, taps)?.rows;
        let memory = self.decoder.cross_memory(&states, &lengths)?;
        Ok(PrefillInput::counted(ids, embeds, Some(memory)))
    }
}

impl Trace for AnswerGenerator {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let (visual_tokens, tokens) = self.pictures.traced(given, taps)?;
        let (rows, padded) = (
            given.rows("input_ids", "attention_mask")?,
            given.rows("input_ids", "")?,
        );
        let questions = padded.split();
        let questions: Vec<&[u32]> = questions.iter().map(Vec::as_slice).collect();
        let places: Vec<u32> = rows.places.iter().map(|p| *p as u32).collect();
        let places = Tensor::from_vec(places, rows.places.len(), visual_tokens.device())?;
        let real = |t: &Tensor| rows.unpack(&t.index_select(&places, 0)?);
        let mut listen = |name: &str, t: &Tensor| {
            if let Ok(t) = real(t) {
                taps.tap(name, &t);
            }
        };
        let tapped = &mut Taps::new(&mut listen);
        let states = self.read(&questions, (&visual_tokens, &tokens), ("question_hidden", tapped))?;
        taps.tap("question_out", &real(&states)?);
        // The reference passes its decoder no mask for the padding of questions, here and in generation.
        let memory = self.decoder.cross_memory(&states, &padded.lengths)?;
        let ids = if given.has("decoder_input_ids") {
            "decoder_input_ids"
        } else {
            "labels"
        };
        let names = (ids, "answer_", "answer_logits");
        teacher_forced(given, &self.decoder, memory, names, self.text.smoothing, taps)
    }

    /// Questions as the reference receives them, padding included.
    fn prompts(&self, given: &Given) -> Result<Vec<ReferencePrompt>, ModelError> {
        self.pictures.prompts(given, given.rows("input_ids", "")?.split())
    }
}
