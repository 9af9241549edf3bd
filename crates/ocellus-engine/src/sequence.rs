//! A running request. All state that depends on its tokens is kept here, so that a rewind takes all of it back together.

use ocellus_models::Vlm;
use ocellus_nn::BlockTable;

use crate::error::EngineError;
use crate::event::{FinishReason, Token};
use crate::logits::{LogitsProcessor, RepetitionPenalty, bar};
use crate::prefix_cache::{BlockKey, Cacheable};
use crate::prompt::{Input, extend_keys};
use crate::request::{Attached, Request};
use crate::sampler::log_probability;
use crate::text::TextState;

pub(crate) struct Sequence {
    pub request: Request,
    /// `None` until its pictures are encoded.
    pub input: Option<Input>,
    /// The KV blocks of the tokens that the decoder has processed.
    pub table: BlockTable,
    pub tokens: Vec<Token>,
    /// Ids of those tokens.
    generated: Vec<u32>,
    text: Option<TextState>,
    processors: Vec<Box<dyn LogitsProcessor>>,
    /// Known tokens as far as others may use their keys and values, and the keys of the blocks they fill.
    cacheable: Vec<Cacheable>,
    pub keys: Vec<BlockKey>,
    /// Whether its `Started` event was sent.
    pub announced: bool,
}

/// How the next token is chosen from the logits.
pub(crate) struct Chosen {
    /// `None` for an end token.
    pub token: Option<Token>,
    pub text: String,
    pub finish: Option<FinishReason>,
}

impl Sequence {
    pub fn new(request: Request, attached: Attached) -> Self {
        let penalty = request.sampling.repetition_penalty;
        let mut processors: Vec<Box<dyn LogitsProcessor>> = Vec::new();
        processors.extend(attached.processors);
        if penalty != 1.0 {
            // The prompt is known when it was read.
            processors.push(Box::new(RepetitionPenalty::new(penalty, &request.ids)));
        }
        Self {
            input: None,
            table: BlockTable::default(),
            tokens: Vec::new(),
            generated: Vec::new(),
            text: attached.tokenizer.map(|t| TextState::new(t, attached.stop)),
            processors,
            cacheable: Vec::new(),
            keys: Vec::new(),
            announced: false,
            request,
        }
    }

    /// Its prompt as the decoder reads it, once its pictures are encoded.
    pub fn open(&mut self, model: &dyn Vlm, input: Input, keep: bool) {
        if keep {
            self.cacheable = input.cacheable(model, &self.request);
            extend_keys(&mut self.keys, &self.cacheable);
        }
        self.input = Some(input);
    }

    fn input(&self) -> &Input {
        self.input.as_ref().expect("a sequence that runs was opened")
    }

    /// Tokens of the prompt as the decoder reads it.
    pub fn prompt_tokens(&self) -> usize {
        self.input().ids.len()
    }

    /// Number of prompt tokens and generated tokens.
    pub fn known(&self) -> usize {
        self.prompt_tokens() + self.tokens.len()
    }

    /// Tokens that the decoder has not processed yet.
    pub fn pending(&self) -> usize {
        self.known() - self.table.len
    }

    /// Whether it decodes: its prompt is prefilled, and each step processes one generated token.
    pub fn decodes(&self) -> bool {
        self.pending() == 1 && !self.tokens.is_empty()
    }

    /// How many of the next `count` tokens to process are generated ones.
    pub fn generated_next(&self, count: usize) -> &[u32] {
        let prompt = self.prompt_tokens();
        let from = self.table.len.max(prompt) - prompt;
        let to = (self.table.len + count).max(prompt) - prompt;
        &self.generated[from..to]
    }

    /// Positions of the next `count` tokens to process.
    pub fn positions_next(&self, count: usize) -> Vec<[i64; 3]> {
        let (input, prompt) = (self.input(), self.prompt_tokens());
        (self.table.len..self.table.len + count)
            .map(|i| match i < prompt {
                true => input.positions[i],
                false => input.place(i - prompt),
            })
            .collect()
    }

    /// Chooses the next token from its logits `[vocab]`. `scratch` is memory for a copy, where something changes them.
    pub fn choose(&mut self, logits: &[f32], scratch: &mut Vec<f32>) -> Result<Chosen, EngineError> {
        let count = self.generated.len();
        let mut own = Vec::new();
        let mut of = logits;
        if count < self.request.min_tokens {
            own.extend_from_slice(logits);
            bar(&mut own, &self.request.end);
            of = &own;
        }
        let scores = match self.processors.is_empty() {
            true => of,
            false => {
                scratch.clear();
                scratch.extend_from_slice(of);
                for processor in &mut self.processors {
                    processor.process(&self.generated, scratch);
                }
                &scratch[..]
            }
        };
        let id = self.request.sampling.choose(scores, count);
        let token = Token {
            id,
            log_probability: log_probability(of, id),
        };
        if token.log_probability.is_nan() {
            return Err(EngineError::NotANumber);
        }
        self.processors.iter_mut().for_each(|p| p.accepted(id));
        if self.request.end.contains(&id) {
            return Ok(Chosen {
                token: None,
                text: String::new(),
                finish: Some(FinishReason::Stop),
            });
        }
        self.push(token)
    }

    fn push(&mut self, token: Token) -> Result<Chosen, EngineError> {
        if !self.cacheable.is_empty() && self.cacheable.len() == self.known() {
            self.cacheable.push(Cacheable {
                id: token.id,
                position: self.input().place(self.generated.len()),
                picture: None,
            });
            extend_keys(&mut self.keys, &self.cacheable);
        }
        self.tokens.push(token);
        self.generated.push(token.id);
        let text = match &mut self.text {
            Some(text) => text.push(token.id)?,
            None => String::new(),
        };
        let stopped = self.text.as_ref().is_some_and(TextState::stopped);
        let finish = match self.tokens.len() >= self.request.max_tokens {
            _ if stopped => Some(FinishReason::Stop),
            true => Some(FinishReason::Length),
            false => None,
        };
        Ok(Chosen {
            token: Some(token),
            text,
            finish,
        })
    }

    /// Takes back all generated tokens but the first `count`; returns the text that those had released. The last known token is to
    /// be read again, since its logits are gone; the engine shortens the table to [`Sequence::kept`].
    pub fn rewind(&mut self, count: usize) -> Result<String, EngineError> {
        self.tokens.truncate(count);
        self.generated.truncate(count);
        self.cacheable.truncate(self.known());
        self.keys.truncate(self.cacheable.len() / ocellus_nn::BLOCK);
        self.processors
            .iter_mut()
            .for_each(|p| p.rewound(&self.generated));
        match &mut self.text {
            Some(text) => Ok(text.rewound(&self.generated)?),
            None => Ok(String::new()),
        }
    }

    /// Tokens whose keys and values hold after a rewind.
    pub fn kept(&self) -> usize {
        self.table.len.min(self.known().saturating_sub(1))
    }

    /// The text that was held back, at the end of the answer.
    pub fn finish(&mut self) -> Result<String, EngineError> {
        match self.text.take() {
            Some(text) => Ok(text.finish()?),
            None => Ok(String::new()),
        }
    }
}
