//! `ocellus score`: how well texts fit a picture.

use ocellus_models::Task;
use serde_json::json;

use super::ask::{no_pictures, sight};
use crate::args::Score;
use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::values::Format;

/// Prints, for every text, the probability that it belongs to the picture and the cosine of the two, as far as the model has them.
pub fn run(context: &Context, args: Score) -> Result<(), Failure> {
    no_pictures(&args.texts, "score", "texts")?;
    let session = context.open(args.model.model.as_deref())?;
    if session.model().matcher().is_none() {
        return Err(session.cannot(Task::Score).into());
    }
    let sight = sight(&session, &args.input, args.regions.as_deref())?;
    let scores = session.score(&sight, &args.texts)?;
    let rows = args.texts.iter().zip(&scores);
    match args.format {
        Format::Json => output::json(&json!({
            "model": session.name(),
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
