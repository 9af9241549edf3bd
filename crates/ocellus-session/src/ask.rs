//! Conversations about pictures, answered.

use std::ops::ControlFlow;

use ocellus_engine::stop::Released;
use ocellus_engine::{FinishReason, Flow, Picture, Request, StopStrings, Timing, Token, generate};
use ocellus_media::Decoded;
use ocellus_models::{Grid, ModelError, PositionRule};
use ocellus_processor::{PixelBounds, PreparedPicture};
use ocellus_text::{Conversation, Special};

use crate::error::SessionError;
use crate::sampling::{GenerationOptions, MAX_TOKENS};
use crate::session::Session;

/// What happens while an answer is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// The prompt is assembled and will be read.
    Started {
        /// Tokens of the prompt, those of its pictures among them.
        prompt_tokens: usize,
        image_tokens: usize,
    },
    /// More of the answer, in whole characters.
    Text(&'a str),
    /// The answer is complete.
    Finished(FinishReason),
}

/// Whoever is told of events says whether to go on.
pub type Listen<'l> = dyn FnMut(Event) -> ControlFlow<()> + 'l;

/// A finished answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub text: String,
    /// Without the token that ended it.
    pub tokens: Vec<Token>,
    pub finish: FinishReason,
    pub timing: Timing,
}

impl Answer {
    /// The geometric mean of the tokens' probabilities.
    pub fn confidence(&self) -> f32 {
        confidence(&self.tokens)
    }
}

/// The geometric mean of the tokens' probabilities.
pub(crate) fn confidence(tokens: &[Token]) -> f32 {
    let sum: f32 = tokens.iter().map(|token| token.log_probability).sum();
    (sum / tokens.len().max(1) as f32).exp()
}

impl Session {
    /// Decodes a picture's bytes and cuts it into patches.
    ///
    /// # Errors
    /// What is no picture, and bounds that contradict each other.
    pub fn picture(&self, bytes: &[u8], bounds: PixelBounds) -> Result<PreparedPicture, SessionError> {
        Ok(self.pictures().open(bytes, bounds)?)
    }

    /// The same of a picture that is decoded already.
    ///
    /// # Errors
    /// As [`picture`](Self::picture).
    pub fn decoded_picture(
        &self,
        decoded: &Decoded,
        bounds: PixelBounds,
    ) -> Result<PreparedPicture, SessionError> {
        Ok(self.pictures().prepare(decoded, bounds)?)
    }

    /// Ids of a conversation about pictures of these grids.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn prompt_ids(&self, conversation: &Conversation, grids: &[Grid]) -> Result<Vec<u32>, SessionError> {
        let (vlm, text) = (self.vlm()?, self.text()?);
        Ok(text.formatter.ids(vlm, &text.tokenizer, conversation, grids)?)
    }

    /// What the engine is asked for a conversation about these pictures.
    ///
    /// # Errors
    /// A model that writes no text, and a conversation that its prompt format does not take.
    pub fn request(
        &self,
        conversation: &Conversation,
        pictures: &[PreparedPicture],
        options: &GenerationOptions,
    ) -> Result<Request, SessionError> {
        let grids: Vec<Grid> = pictures.iter().map(|p| p.geometry.grid).collect();
        let ids = self.prompt_ids(conversation, &grids)?;
        let room = self.model().facts().max_positions.saturating_sub(ids.len());
        Ok(Request {
            ids,
            pictures: engine_pictures(pictures)?,
            max_tokens: options.max_tokens.unwrap_or(MAX_TOKENS.min(room)),
            min_tokens: 0,
            sampling: options.sampling(&self.text()?.generation),
            end: self.ends()?,
            rule: PositionRule::default(),
        })
    }

    /// Answers a conversation about these pictures.
    ///
    /// # Errors
    /// As [`request`](Self::request); a prompt that the context does not hold; options outside their ranges.
    pub fn ask(
        &self,
        conversation: &Conversation,
        pictures: &[PreparedPicture],
        options: &GenerationOptions,
        listen: &mut Listen,
    ) -> Result<Answer, SessionError> {
        let request = self.request(conversation, pictures, options)?;
        self.answer(&request, &options.stop, listen)
    }

    /// Answers a request. A listener that breaks off ends the answer with what there is.
    ///
    /// # Errors
    /// A request that the engine cannot serve.
    pub fn answer(
        &self,
        request: &Request,
        stop: &[String],
        listen: &mut Listen,
    ) -> Result<Answer, SessionError> {
        let text = self.text()?;
        let mut detokenizer = text.tokenizer.detokenizer(Special::Skip);
        let mut stops = StopStrings::new(stop.iter().chain(&text.generation.stop).cloned());
        let (mut whole, mut failed, mut stopped) = (String::new(), None, false);
        let image_tokens = request.pictures.iter().map(|p| self.tokens_of(&p.grid)).sum();
        let started = Event::Started {
            prompt_tokens: request.ids.len(),
            image_tokens,
        };
        if listen(started).is_break() {
            return Err(SessionError::Cancelled);
        }
        let mut receive = |_: usize, token: Token| {
            let piece = match detokenizer.push(token.id) {
                Ok(piece) => piece.unwrap_or_default(),
                Err(error) => {
                    failed = Some(SessionError::from(error));
                    return Flow::Finish(FinishReason::Cancelled);
                }
            };
            let (piece, flow) = match stops.push(&piece) {
                Released::Text(piece) => (piece, Flow::Continue),
                Released::Stopped(piece) => {
                    stopped = true;
                    (piece, Flow::Finish(FinishReason::Stop))
                }
            };
            whole.push_str(&piece);
            match listen(Event::Text(&piece)) {
                ControlFlow::Continue(()) => flow,
                ControlFlow::Break(()) => Flow::Finish(FinishReason::Cancelled),
            }
        };
        let requests = std::slice::from_ref(request);
        let (mut generated, timing) = generate(self.vlm()?, requests, &*self.clock, &mut receive)?;
        if let Some(error) = failed {
            return Err(error);
        }
        // One request, one answer.
        let generated = generated.remove(0);
        if !stopped {
            let mut rest = match stops.push(&detokenizer.finish()?) {
                Released::Text(rest) | Released::Stopped(rest) => rest,
            };
            rest.push_str(&stops.finish());
            let _ = listen(Event::Text(&rest));
            whole.push_str(&rest);
        }
        let _ = listen(Event::Finished(generated.finish));
        Ok(Answer {
            text: whole,
            tokens: generated.tokens,
            finish: generated.finish,
            timing,
        })
    }

    fn tokens_of(&self, grid: &Grid) -> usize {
        self.pictures().tokens(grid)
    }
}

/// Pictures as the engine takes them.
///
/// # Errors
/// Patches that are not on the CPU.
pub fn engine_pictures(pictures: &[PreparedPicture]) -> Result<Vec<Picture>, SessionError> {
    let one = |picture: &PreparedPicture| {
        let patches = picture.patches.flatten_all().and_then(|p| p.to_vec1());
        Ok(Picture {
            patches: patches.map_err(ModelError::from)?,
            grid: picture.geometry.grid,
            video_seconds: None,
        })
    };
    pictures.iter().map(one).collect()
}
