//! `ocellus caption`: what pictures show.

use std::path::Path;

use ocellus_engine::Request;
use ocellus_models::Task;
use serde_json::json;

use super::able::cannot;
use crate::args::Caption;
use crate::context::Context;
use crate::error::Failure;
use crate::model::Model;
use crate::values::Format;
use crate::{inputs, output, prompt};

/// Prints a caption for every picture; one that fails is reported and the rest go on.
pub fn run(context: &Context, args: Caption) -> Result<(), Failure> {
    let model = Model::load(context, &context.checkpoint(args.model.model.as_deref())?)?;
    // A model of phrases that has none for captions only answers questions.
    let describes = model.loaded.input().prompts.is_none_or(|p| !p.caption.is_empty());
    if model.loaded.generator().is_none() || model.reads_lines || !describes {
        return Err(cannot(&model, Task::Caption));
    }
    let prepare = |path: &Path| {
        let name = inputs::name(path);
        let request = prompt::caption(&model, &inputs::read(path)?, args.prompt.as_deref());
        Ok((request.map_err(|failure| failure.about(&name))?, name))
    };
    super::each_prepared(&args.inputs, prepare, |(request, name)| {
        one(&model, &args, request, &name)
    })
}

fn one(model: &Model, args: &Caption, request: Request, name: &str) -> Result<(), Failure> {
    let caption = prompt::best(model, request, args.beams, args.max_tokens.get());
    let caption = caption.map_err(|failure| failure.about(name))?;
    match args.format {
        Format::Text => output::line(&caption.text),
        // A line each, so that a long list can be read as it grows.
        Format::Json => output::line(
            &json!({
                "source": name, "model": model.name, "text": caption.text, "score": caption.score,
                "token_ids": caption.ids,
            })
            .to_string(),
        ),
    }
}
