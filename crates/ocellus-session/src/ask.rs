//! Conversations about pictures, answered.

use std::ops::ControlFlow;

use ocellus_base::limits::PICTURES;
use ocellus_engine as engine;
use ocellus_engine::{Attached, Engine, FinishReason, Picture, Request, Timing, Token};
use ocellus_media::Decoded;
use ocellus_models::{Grid, ModelError, PositionRule};
use ocellus_processor::{PictureGeometry, PixelBounds, PreparedPicture};
use ocellus_text::Conversation;

use crate::error::SessionError;
use crate::sampling::{GenerationOptions, MAX_TOKENS};
use crate::session::Session;

/// What happens while an answer is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// A picture is prepared, with its geometry.
    PicturePrepared {
        /// Its place among the pictures.
        index: usize,
        geometry: &'a PictureGeometry,
    },
    /// Something that a user should know, in a sentence.
    Warning(&'a str),
    /// The prompt is assembled; prefill follows.
    Started {
        /// Tokens of the prompt, visual tokens included.
        prompt_tokens: usize,
        image_tokens: usize,
    },
    /// More of the answer, in whole characters.
    Text(&'a str),
    /// The answer is complete.
    Finished(FinishReason),
}

/// The event listener; its result says whether to go on.
pub type Listen<'l> = dyn FnMut(Event) -> ControlFlow<()> + 'l;

/// A finished answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub text: String,
    /// Without the token that ended it.
    pub tokens: Vec<Token>,
    pub finish: FinishReason,
    pub timing: Timing,
    /// Tokens of the prompt that the engine had read already for an earlier request.
    pub cached_tokens: usize,
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

    /// The engine request of a conversation about these pictures.
    ///
    /// # Errors
    /// A model that writes no text, and a conversation that its prompt format does not take.
    pub fn request(
        &self,
        conversation: &Conversation,
        pictures: &[PreparedPicture],
        options: &GenerationOptions,
    ) -> Result<Request, SessionError> {
        if pictures.len() > PICTURES {
            return Err(SessionError::TooManyPictures {
                found: pictures.len(),
                allowed: PICTURES,
            });
        }
        let grids: Vec<Grid> = pictures.iter().map(|p| p.geometry.grid).collect();
        let ids = self.prompt_ids(conversation, &grids)?;
        let room = self.model().facts().max_positions.saturating_sub(ids.len());
        let mut pictures = engine_pictures(pictures);
        if self.engine_keeps() {
            let keyed = pictures.into_iter().map(Picture::keyed);
            pictures = keyed.collect::<Result<_, _>>().map_err(ModelError::from)?;
        }
        Ok(Request {
            ids,
            pictures,
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
        for (index, picture) in pictures.iter().enumerate() {
            let geometry = &picture.geometry;
            if listen(Event::PicturePrepared { index, geometry }).is_break() {
                return Err(SessionError::Cancelled);
            }
        }
        let only_reads = self.reads_lines().then(|| self.only_reads());
        for warning in self.warnings().iter().chain(&only_reads) {
            if listen(Event::Warning(warning)).is_break() {
                return Err(SessionError::Cancelled);
            }
        }
        let request = self.request(conversation, pictures, options)?;
        self.answer(&request, &options.stop, listen)
    }

    /// The warning for questions to a line reader.
    pub fn only_reads(&self) -> String {
        format!(
            "{} only reads: it takes the picture as one line of print and does not see the question",
            self.name()
        )
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
        self.answer_in(&mut self.engine()?, request, stop, listen)
    }

    /// The same in an engine of this session in which nothing else runs. What [`OpenOptions::engine`](crate::OpenOptions) lets it keep of
    /// earlier requests, such as the earlier questions of a chat, is not computed again.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub fn answer_in(
        &self,
        engine: &mut Engine,
        request: &Request,
        stop: &[String],
        listen: &mut Listen,
    ) -> Result<Answer, SessionError> {
        let image_tokens = request.pictures.iter().map(|p| self.tokens_of(&p.grid)).sum();
        let started = Event::Started {
            prompt_tokens: request.ids.len(),
            image_tokens,
        };
        if listen(started).is_break() {
            return Err(SessionError::Cancelled);
        }
        let before = engine.timing();
        let id = engine.submit_with(request.clone(), self.attached(stop)?)?;
        let (mut whole, mut cancelled, mut cached) = (String::new(), false, 0);
        loop {
            let events = engine.step();
            self.intact()?;
            for event in events {
                match event {
                    engine::Event::Started { cached_tokens, .. } => cached = cached_tokens,
                    engine::Event::Token { text, .. } => {
                        whole.push_str(&text);
                        if !cancelled && listen(Event::Text(&text)).is_break() {
                            cancelled = true;
                            engine.cancel(id);
                        }
                    }
                    engine::Event::Finished {
                        reason, text, tokens, ..
                    } => {
                        whole.push_str(&text);
                        let finish = if cancelled {
                            FinishReason::Cancelled
                        } else {
                            reason
                        };
                        if !cancelled {
                            let _ = listen(Event::Text(&text));
                        }
                        let _ = listen(Event::Finished(finish));
                        return Ok(Answer {
                            text: whole,
                            tokens,
                            finish,
                            timing: engine.timing().since(&before),
                            cached_tokens: cached,
                        });
                    }
                    engine::Event::Failed { error, .. } => return Err(error.into()),
                }
            }
        }
    }

    /// What goes along with a request of this model: its tokenizer, and the texts that end an answer.
    ///
    /// # Errors
    /// A model that takes no text.
    pub fn attached(&self, stop: &[String]) -> Result<Attached, SessionError> {
        let text = self.text()?;
        Ok(Attached {
            tokenizer: Some(text.tokenizer.clone()),
            stop: stop.iter().chain(&text.generation.stop).cloned().collect(),
            processors: Vec::new(),
        })
    }

    fn tokens_of(&self, grid: &Grid) -> usize {
        self.pictures().tokens(grid)
    }
}

/// Pictures as the engine takes them; their patches are shared, not copied.
pub fn engine_pictures(pictures: &[PreparedPicture]) -> Vec<Picture> {
    let one = |picture: &PreparedPicture| Picture {
        patches: picture.patches.clone(),
        grid: picture.geometry.grid,
        video_seconds: None,
        key: None,
    };
    pictures.iter().map(one).collect()
}
