//! `ocellus score`: how well texts fit a picture.

use ocellus_models::Task;
use serde_json::json;

use super::able::cannot;
use crate::args::Score;
use crate::context::Context;
use crate::error::Failure;
use crate::model::Model;
use crate::values::Format;
use crate::{output, sight};

/// Prints, for every text, the probability that it belongs to the picture and the cosine of the two, as far as the model has them.
pub fn run(context: &Context, args: Score) -> Result<(), Failure> {
    let model = Model::load(context, &context.checkpoint(args.model.model.as_deref())?)?;
    let Some(matcher) = model.loaded.matcher() else {
        return Err(cannot(&model, Task::Score));
    };
    let seen = sight::sight(&model, &args.input, args.regions.as_deref())?;
    let texts = model.texts(&args.texts)?;
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let scores = model.own(matcher.scores(&sight::repeated(&seen, texts.len())?, &texts))?;
    let rows = args.texts.iter().zip(&scores);
    match args.format {
        Format::Json => output::json(&json!({
            "model": model.name,
            "scores": rows
                .map(|(text, s)| json!({"text": text, "match": s.matched, "similarity": s.similarity}))
                .collect::<Vec<_>>(),
        })),
        Format::Text => {
            let number = |value: Option<f32>| value.map_or("-".to_owned(), |v| format!("{v:.4}"));
            let head = ["match", "similarity", "text"].map(str::to_owned).to_vec();
            let rows = rows.map(|(text, s)| vec![number(s.matched), number(s.similarity), text.clone()]);
            output::write(&output::table(
                &std::iter::once(head).chain(rows).collect::<Vec<_>>(),
            ))
        }
    }
}
