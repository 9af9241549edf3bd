//! Models without conversations: prompts about pictures; answers that are generated, ranked or the best of a beam search.

use ocellus_engine::{Beams, EngineError, FinishReason, Request, Sampling};
use ocellus_models::PositionRule;
use ocellus_processor::{PixelBounds, PreparedPicture};
use ocellus_text::{Special, TextForm};

use crate::ask::engine_pictures;
use crate::error::SessionError;
use crate::sampling::{GenerationOptions, MAX_TOKENS};
use crate::session::Session;

/// The caption prompt of models that take conversations.
const CAPTION: &str = "Describe the image in one sentence.";
/// Answers that are scored in full.
const MEASURED: usize = 128;

/// A caption, the best of a beam search.
#[derive(Debug, Clone, PartialEq)]
pub struct Caption {
    pub text: String,
    pub ids: Vec<u32>,
    /// Mean logarithm of the tokens' probabilities.
    pub score: f32,
    /// Whether the model ended it, or its bound.
    pub finish: FinishReason,
}

/// One of a list of answers, and how likely it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedAnswer {
    /// Its place in the list.
    pub answer: usize,
    pub log_likelihood: f32,
}

impl Session {
    /// Whether it writes captions: a model of phrases that has none for captions only answers questions.
    pub fn describes(&self) -> bool {
        let prompts = self.model().input().prompts;
        self.model().generator().is_some()
            && !self.reads_lines()
            && prompts.is_none_or(|prompts| !prompts.caption.is_empty())
    }

    /// The request for a caption of a picture, which begins with `words` or, in a conversation, follows them.
    ///
    /// # Errors
    /// What is no picture; a model that writes no text.
    pub fn caption_request(&self, picture: &[u8], words: Option<&str>) -> Result<Request, SessionError> {
        let picture = self.picture(picture, PixelBounds::default())?;
        match self.model().input().prompts {
            Some(prompts) => self.task_prompt(&[picture], words.unwrap_or(prompts.caption)),
            None => {
                let talk = ocellus_tasks::ask::conversation((1, 0), words.unwrap_or(CAPTION), None);
                self.request(&talk, &[picture], &GenerationOptions::default())
            }
        }
    }

    /// Beam search over `beams` captions of at most `max_tokens` tokens and returns the best.
    ///
    /// # Errors
    /// A request that the engine cannot serve.
    pub fn caption(&self, request: Request, beams: u8, max_tokens: usize) -> Result<Caption, SessionError> {
        let request = Request {
            max_tokens,
            ..request
        };
        let options = Beams {
            width: beams.into(),
            length_penalty: 1.0,
        };
        let mut found = self.engine()?.search(&[request], options)?;
        self.intact()?;
        // One request, at least one answer.
        let best = found.remove(0).remove(0);
        let ids: Vec<u32> = best.tokens.iter().map(|t| t.id).collect();
        let text = self.text()?.tokenizer.decode_with(&ids, Special::Skip)?;
        Ok(Caption {
            text: text.trim().to_owned(),
            ids,
            score: best.score,
            finish: best.finish(),
        })
    }

    /// The request for an answer to a question about one picture, in the model's own prompt.
    ///
    /// # Errors
    /// A model without such a prompt.
    pub fn phrase_request(
        &self,
        picture: PreparedPicture,
        question: &str,
        options: &GenerationOptions,
    ) -> Result<Request, SessionError> {
        let prompts = self.model().input().prompts.unwrap_or_default();
        let mut request = self.task_prompt(&[picture], &prompts.question.replace("{}", question))?;
        request.sampling = options.sampling(&self.text()?.generation);
        let half = self.model().facts().max_positions / 2;
        request.max_tokens = options.max_tokens.unwrap_or(MAX_TOKENS).min(half);
        Ok(request)
    }

    /// Ranks answers by how likely the model is to write each, likeliest first.
    ///
    /// # Errors
    /// [`SessionError::AnswerTooLong`], and a request that the engine cannot serve.
    pub fn rank_answers(
        &self,
        request: &Request,
        answers: &[&str],
    ) -> Result<Vec<RankedAnswer>, SessionError> {
        let end = self.ends()?.first().copied();
        let tokenizer = &self.text()?.tokenizer;
        let mut ids = Vec::with_capacity(answers.len());
        for text in answers {
            let mut answer = TextForm::BARE.ids(tokenizer, text)?;
            answer.extend(end);
            ids.push(answer);
        }
        let ranked = self
            .engine()?
            .rank(request, &ids, MEASURED)
            .map_err(|error| match error {
                EngineError::Context { .. } => too_long(answers, &ids),
                other => other.into(),
            })?;
        self.intact()?;
        let ranked = ranked.into_iter().map(|r| RankedAnswer {
            answer: r.answer,
            log_likelihood: r.log_likelihood,
        });
        Ok(ranked.collect())
    }

    /// Pictures and a prompt about them.
    fn task_prompt(&self, pictures: &[PreparedPicture], words: &str) -> Result<Request, SessionError> {
        let facts = self.model().facts();
        let mut ids = Vec::new();
        if let Some(token) = facts.image_token {
            let tokens: usize = pictures
                .iter()
                .map(|p| facts.visual_tokens(&p.geometry.grid))
                .sum();
            ids.extend(std::iter::repeat_n(token, tokens));
        }
        ids.extend(self.ids(&[words])?.concat());
        Ok(Request {
            ids,
            pictures: engine_pictures(pictures),
            max_tokens: MAX_TOKENS,
            min_tokens: 0,
            sampling: Sampling::default(),
            end: self.ends()?,
            rule: PositionRule::default(),
        })
    }
}

/// That the longest of the answers does not fit beside the question.
fn too_long(answers: &[&str], ids: &[Vec<u32>]) -> SessionError {
    let longest = answers.iter().zip(ids).max_by_key(|(_, ids)| ids.len());
    let (text, tokens) = longest.map_or(("", 0), |(text, ids)| (*text, ids.len()));
    SessionError::AnswerTooLong {
        tokens,
        start: text.chars().take(40).collect(),
    }
}
