//! `ocellus classify`: which of some labels fits a picture best, without training for them.

use ocellus_models::Task;
use serde_json::json;

use super::ask::{no_pictures, sight};
use crate::args::Classify;
use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::values::Format;

/// Prints the labels with their probabilities, likeliest first.
pub fn run(context: &Context, args: Classify) -> Result<(), Failure> {
    if !args.template.contains("{}") {
        return Err(Failure::usage("--template has no {} for the label to stand in")
            .hint("as in: --template \"a photo of a {}\""));
    }
    no_pictures(&args.labels, "classify", "labels")?;
    let session = context.open(args.model.model.as_deref())?;
    if session.model().embedder().is_none() {
        return Err(session.cannot(Task::Classify).into());
    }
    let sight = sight(&session, &args.input, None)?;
    let sentences: Vec<String> = args
        .labels
        .iter()
        .map(|l| args.template.replace("{}", l))
        .collect();
    let shares = session.classify(&sight, &sentences)?;
    let mut rows: Vec<(&String, f32)> = args.labels.iter().zip(shares).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    match args.format {
        Format::Json => {
            let labels: Vec<_> = rows
                .iter()
                .map(|(label, p)| json!({"label": label, "probability": p}))
                .collect();
            output::json(&json!({"model": session.name(), "labels": labels}))
        }
        Format::Text => {
            let rows: Vec<_> = rows
                .into_iter()
                .map(|(label, p)| vec![format!("{p:.4}"), label.clone()])
                .collect();
            output::write(&output::table(&rows))
        }
    }
}
