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

/// Prints a vector for every input: of the picture when a file of that name exists, else of the text; the texts of `--text` come last.
pub fn run(context: &Context, args: Embed) -> Result<(), Failure> {
    let session = context.open(args.model.model.as_deref())?;
    if session.model().embedder().is_none() {
        return Err(session.cannot(Task::Embed).into());
    }
    let all = args.inputs.iter().map(|input| (input, false));
    let all = all.chain(args.texts.iter().map(|text| (text, true)));
    let prepare = |(input, is_text): (&String, bool)| Ok((input.clone(), given(&session, input, is_text)?));
    let may_wait = |(input, is_text): &(&String, bool)| !is_text && inputs::may_wait(Path::new(input));
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
    prefetched(all, may_wait, prepare, |inputs| {
        super::batch::each(inputs, |ready: Result<_, Failure>| act(ready?))
    })
}

/// An input as the model takes it. A misspelt name of a file is no text.
fn given(session: &Session, input: &str, is_text: bool) -> Result<EmbedInput, Failure> {
    let path = Path::new(input);
    if is_text {
        return Ok(session.embed_text(input)?);
    }
    if path.exists() || input == "-" {
        return Ok(EmbedInput::Picture(sight(session, path, None)?));
    }
    if inputs::looks_like_path(input) {
        return Err(Failure::new(format!("{input}: no such file")).hint(format!(
            "check the path; a text of this spelling is given with: --text {input}"
        )));
    }
    Ok(session.embed_text(input)?)
}
