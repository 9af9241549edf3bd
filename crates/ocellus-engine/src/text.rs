//! The text of an answer while it is generated: whole characters, and nothing of a stop string.

use std::sync::Arc;

use ocellus_text::{Detokenizer, Special, TextError, Tokenizer};

use crate::stop::{Released, StopStrings};

/// From tokens to text that can be shown.
pub(crate) struct TextState {
    tokenizer: Arc<Tokenizer>,
    stop: Vec<String>,
    detokenizer: Detokenizer<Arc<Tokenizer>>,
    stops: StopStrings,
    /// A stop string came; there is no more text.
    stopped: bool,
}

impl TextState {
    pub fn new(tokenizer: Arc<Tokenizer>, stop: Vec<String>) -> Self {
        Self {
            detokenizer: Detokenizer::new(tokenizer.clone(), Special::Skip),
            stops: StopStrings::new(stop.clone()),
            stopped: false,
            tokenizer,
            stop,
        }
    }

    /// Takes the next token; returns the text that became certain.
    pub fn push(&mut self, id: u32) -> Result<String, TextError> {
        let piece = self.detokenizer.push(id)?.unwrap_or_default();
        if self.stopped {
            return Ok(String::new());
        }
        Ok(match self.stops.push(&piece) {
            Released::Text(text) => text,
            Released::Stopped(text) => {
                self.stopped = true;
                text
            }
        })
    }

    /// Whether a stop string came.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The text that was held back, at the end of the answer.
    pub fn finish(self) -> Result<String, TextError> {
        let mut stops = self.stops;
        if self.stopped {
            return Ok(String::new());
        }
        Ok(match stops.push(&self.detokenizer.finish()?) {
            Released::Text(text) => text + &stops.finish(),
            Released::Stopped(text) => text,
        })
    }

    /// As if `generated` were all that had come; returns the text that those tokens had released.
    pub fn rewound(&mut self, generated: &[u32]) -> Result<String, TextError> {
        *self = Self::new(self.tokenizer.clone(), std::mem::take(&mut self.stop));
        generated.iter().map(|id| self.push(*id)).collect()
    }
}
