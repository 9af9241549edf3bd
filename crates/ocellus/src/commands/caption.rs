//! `ocellus caption`: what pictures show.

use std::path::Path;

use ocellus_engine::Request;
use ocellus_models::Task;
use ocellus_session::{Session, Usage};
use serde_json::json;

use super::answer::warnings;
use crate::args::Caption;
use crate::context::Context;
use crate::error::Failure;
use crate::values::Format;
use crate::{inputs, output};

/// Prints a caption for every picture; one that fails is reported and the rest go on.
pub fn run(context: &Context, args: Caption) -> Result<(), Failure> {
    let usage = Usage {
        new_tokens: args.max_tokens.get() as u64,
        beams: args.beams.into(),
        ..Usage::default()
    };
    let checkpoint = context.checkpoint(args.model.model.as_deref())?;
    let session = context.open_for(&checkpoint, usage)?;
    if !session.describes() {
        return Err(session.cannot(Task::Caption).into());
    }
    let prepare = |path: &Path| {
        let name = inputs::name(path);
        let request = session.caption_request(&inputs::read(path)?, args.prompt.as_deref());
        Ok((request.map_err(|error| error.about(&name))?, name))
    };
    let several = args.inputs.len() > 1 || args.inputs.iter().any(|path| path.is_dir());
    super::batch::each_prepared(&args.inputs, prepare, |(request, name)| {
        one(&session, &args, request, (&name, several))
    })
}

/// Captions of several inputs have their names before them.
fn one(
    session: &Session,
    args: &Caption,
    request: Request,
    (name, several): (&str, bool),
) -> Result<(), Failure> {
    let caption = session.caption(request, args.beams, args.max_tokens.get());
    let caption = caption.map_err(|error| error.about(name))?;
    let warnings = warnings(
        session,
        &format!("the caption of {name}"),
        caption.finish,
        caption.ids.len(),
    );
    match args.format {
        Format::Text if several => output::line(&format!("{name}: {}", caption.text)),
        Format::Text => output::line(&caption.text),
        // A line each, so that a long list can be read as it grows.
        Format::Json => output::line(
            &json!({
                "source": name, "model": session.name(), "text": caption.text, "score": caption.score,
                "token_ids": caption.ids, "warnings": warnings,
            })
            .to_string(),
        ),
    }
}
