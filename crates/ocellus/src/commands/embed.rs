//! `ocellus embed`: pictures and texts as vectors of length 1 in one space.

use std::path::Path;

use ocellus_models::Task;
use ocellus_session::{EmbedInput, Session, prefetched};
use serde_json::json;

use super::ask::sight;
use crate::args::Embed;
use crate::context::Context;
use crate::error::Failure;
use crate::values::Format;
use crate::{inputs, output};

/// Prints a vector for every input: of the picture when a file of that name exists, else of the text.
pub fn run(context: &Context, args: Embed) -> Result<(), Failure> {
    let session = context.open(args.model.model.as_deref())?;
    if session.model().embedder().is_none() {
        return Err(session.cannot(Task::Embed).into());
    }
    let prepare = |input: &String| Ok((input.clone(), given(&session, input)?));
    let may_wait = |input: &&String| inputs::may_wait(Path::new(input));
    let act = |(input, given): (String, EmbedInput)| {
        let kind = match given {
            EmbedInput::Picture(_) => "image",
            EmbedInput::Text(_) => "text",
        };
        let vector = session.embed(&given)?;
        match args.format {
            // A line each, so that a long list can be read as it grows.
            Format::Json => {
                output::line(&json!({"input": input, "kind": kind, "embedding": vector}).to_string())
            }
            Format::Text => {
                let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
                output::line(&numbers.join(" "))
            }
        }
    };
    prefetched(&args.inputs, may_wait, prepare, |inputs| {
        super::batch::each(inputs, |ready: Result<_, Failure>| act(ready?))
    })
}

/// An input as the model takes it.
fn given(session: &Session, input: &str) -> Result<EmbedInput, Failure> {
    let path = Path::new(input);
    Ok(if path.exists() || input == "-" {
        EmbedInput::Picture(sight(session, path, None)?)
    } else {
        session.embed_text(input)?
    })
}
