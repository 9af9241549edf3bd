//! Questions to models that choose their answer from a fixed list.

use ocellus_models::Classifier;
use serde_json::json;

use crate::args::Ask;
use crate::error::Failure;
use crate::model::Model;
use crate::values::Format;
use crate::{output, sight};

/// Answers shown beside the first.
const SHOWN: usize = 5;

/// Prints the likeliest answer, or with JSON the likeliest few.
pub fn run(model: &Model, classifier: &dyn Classifier, args: &Ask) -> Result<(), Failure> {
    let picture = match (&args.images[..], &args.regions) {
        ([picture], _) => picture,
        // What was found in the picture says all that the model sees of it.
        ([], Some(found)) => found,
        (pictures, _) => {
            return Err(Failure::usage(format!(
                "{} answers questions about exactly one picture, not {}",
                model.name,
                pictures.len()
            ))
            .hint("give one --image"));
        }
    };
    let seen = sight::sight(model, picture, args.regions.as_deref())?;
    let ids = model.texts(&[args.question().to_owned()])?;
    let scores = model.own(classifier.answers(&seen, &[&ids[0]]))?;
    let scores = scores.flatten_all().and_then(|s| s.to_vec1::<f32>());
    let scores = scores.map_err(ocellus_models::ModelError::from)?;
    let label = |id: u32| {
        let known = classifier.labels().get(id as usize).cloned();
        known.unwrap_or_else(|| format!("#{id}"))
    };
    let best = ocellus_tasks::classify::likeliest(&scores, SHOWN);
    let answers: Vec<(String, f32)> = best.into_iter().map(|(id, p)| (label(id), p)).collect();
    let text = answers.first().map_or("", |(answer, _)| answer);
    match args.format {
        Format::Text => output::line(text),
        Format::Json => output::json(&json!({
            "text": text, "finish_reason": "stop", "model": model.name,
            "answers": answers.iter().map(|(a, p)| json!({"text": a, "probability": p})).collect::<Vec<_>>(),
        })),
    }
}
