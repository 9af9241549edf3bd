//! Answers, written to standard output as they grow or when they are complete.

use std::ops::ControlFlow;

use ocellus_engine::{Engine, FinishReason, Request};
use ocellus_session::{Answer, Event, Session};

use serde_json::{Value, json};

use crate::error::Failure;
use crate::interrupt::Listener;
use crate::output;

/// Answers a request in an engine of the session; with `stream` the text is written as it comes. Ctrl-C ends the answer with what there is.
pub fn written(
    (session, engine): (&Session, &mut Engine),
    request: &Request,
    stop: &[String],
    stream: bool,
) -> Result<Answer, Failure> {
    let listener = Listener::new();
    let mut failed = None;
    let answer = session.answer_in(engine, request, stop, &mut |event| {
        if let Event::Text(text) = event
            && stream
            && let Err(failure) = output::write(text)
        {
            failed = Some(failure);
            return ControlFlow::Break(());
        }
        listener.flow()
    })?;
    match failed {
        Some(failure) => Err(failure),
        None => Ok(answer),
    }
}

/// Warnings of an answer, for results: those of its model, and that it was cut, which is said here on standard error, too.
pub fn warnings(session: &Session, what: &str, finish: FinishReason, tokens: usize) -> Vec<Value> {
    let warning = |kind: &str, message: &str| json!({"kind": kind, "message": message});
    let of_model = session
        .warnings()
        .iter()
        .map(|message| warning("checkpoint", message));
    let mut warnings: Vec<Value> = of_model.collect();
    if finish == FinishReason::Length {
        let message = format!("{what} was cut after {tokens} tokens");
        log::warn!("{message}; --max-tokens N allows more");
        warnings.insert(0, warning("length", &message));
    }
    warnings
}
