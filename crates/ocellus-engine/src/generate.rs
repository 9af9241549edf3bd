//! The closed loop: a list of requests in, all answers out.

use ocellus_base::clock::Clock;
use ocellus_models::Vlm;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::event::{Event, FinishReason, Token};
use crate::options::EngineOptions;
use crate::prompt::check;
use crate::request::{Request, RequestId};
use crate::timing::Timing;

/// What the receiver of a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    /// This sequence is done, for the given reason.
    Finish(FinishReason),
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    pub tokens: Vec<Token>,
    pub finish: FinishReason,
}

/// Continues every request; `receive(request, token)` is called as tokens appear, end tokens excepted.
///
/// Requests run side by side and do not influence one another: each gives the tokens that it would give alone. The first error of
/// any of them ends them all.
pub fn generate(
    model: &dyn Vlm,
    requests: &[Request],
    clock: &dyn Clock,
    receive: &mut dyn FnMut(usize, Token) -> Flow,
) -> Result<(Vec<Generated>, Timing), EngineError> {
    let mut engine = Engine::new(model, EngineOptions::default(), clock)?;
    let answers = engine.generate(requests, receive)?;
    Ok((answers, engine.timing()))
}

impl Engine<'_> {
    /// As [`generate`], in this engine, which must have no other requests.
    ///
    /// # Panics
    /// When it has some.
    pub fn generate(
        &mut self,
        requests: &[Request],
        receive: &mut dyn FnMut(usize, Token) -> Flow,
    ) -> Result<Vec<Generated>, EngineError> {
        assert!(self.is_idle(), "other requests run in this engine");
        requests.iter().try_for_each(|r| check(self.model(), r))?;
        let done = self.drive(requests, receive);
        if done.is_err() {
            // Nothing of a failed list stays behind.
            self.clear();
        }
        done
    }

    fn drive(
        &mut self,
        requests: &[Request],
        receive: &mut dyn FnMut(usize, Token) -> Flow,
    ) -> Result<Vec<Generated>, EngineError> {
        let mut ids: Vec<RequestId> = Vec::with_capacity(requests.len());
        let mut answers: Vec<Option<Generated>> = requests.iter().map(|_| None).collect();
        // What the receiver said of a sequence whose last token it just saw.
        let mut said: Vec<Option<FinishReason>> = vec![None; requests.len()];
        let mut left = requests.iter();
        while ids.len() < requests.len() || !self.is_idle() {
            while self.accepts()
                && let Some(request) = left.next()
            {
                ids.push(self.submit(request.clone())?);
            }
            for event in self.step() {
                let index = ids.partition_point(|id| *id < event.id());
                match event {
                    Event::Started { .. } => {}
                    Event::Token { id, token, .. } => {
                        if let Flow::Finish(reason) = receive(index, token) {
                            said[index] = Some(reason);
                            self.finish(id, reason);
                        }
                    }
                    Event::Finished { reason, tokens, .. } => {
                        let finish = said[index].unwrap_or(reason);
                        answers[index] = Some(Generated { tokens, finish });
                    }
                    Event::Failed { error, .. } => return Err(error),
                }
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn clear(&mut self) {
        let ids: Vec<RequestId> = self.requests().collect();
        ids.into_iter().for_each(|id| {
            self.cancel(id);
        });
        self.step();
    }
}
