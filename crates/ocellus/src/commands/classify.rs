//! `ocellus classify`: which of some labels fits a picture best, without training for them.

use ocellus_models::Task;
use serde_json::json;

use super::able::cannot;
use crate::args::Classify;
use crate::context::Context;
use crate::error::Failure;
use crate::model::Model;
use crate::values::Format;
use crate::{output, sight};

/// Prints the labels with their probabilities, likeliest first.
pub fn run(context: &Context, args: Classify) -> Result<(), Failure> {
    if !args.template.contains("{}") {
        return Err(Failure::usage("--template has no {} for the label to stand in")
            .hint("as in: --template \"a photo of a {}\""));
    }
    let model = Model::load(context, &context.checkpoint(args.model.model.as_deref())?)?;
    let Some(embedder) = model.loaded.embedder() else {
        return Err(cannot(&model, Task::Classify));
    };
    let seen = sight::sight(&model, &args.input, None)?;
    let sentences: Vec<String> = args
        .labels
        .iter()
        .map(|l| args.template.replace("{}", l))
        .collect();
    let texts = model.texts(&sentences)?;
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let picture = model.own(embedder.pictures(&seen))?;
    let similarities = model
        .own(embedder.texts(&texts))?
        .matmul(&picture.t().map_err(tensor)?);
    let similarities = similarities.and_then(|s| s.flatten_all()?.to_vec1::<f32>());
    let shares = ocellus_tasks::classify::shares(&similarities.map_err(tensor)?, embedder.scale()?);
    let mut rows: Vec<(&String, f32)> = args.labels.iter().zip(shares).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    match args.format {
        Format::Json => {
            let labels: Vec<_> = rows
                .iter()
                .map(|(label, p)| json!({"label": label, "probability": p}))
                .collect();
            output::json(&json!({"model": model.name, "labels": labels}))
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

fn tensor(error: candle_core::Error) -> Failure {
    ocellus_models::ModelError::from(error).into()
}
