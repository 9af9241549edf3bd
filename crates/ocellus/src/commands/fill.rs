//! `ocellus fill`: words for the masks in a text about a picture.

use ocellus_models::Task;
use serde_json::json;

use super::able::cannot;
use crate::args::Fill;
use crate::context::Context;
use crate::error::Failure;
use crate::model::Model;
use crate::values::Format;
use crate::{output, sight};

/// What stands for a missing word.
const MASK: &str = "[MASK]";

/// Prints the likeliest words for every mask.
pub fn run(context: &Context, args: Fill) -> Result<(), Failure> {
    if !args.text.contains(MASK) {
        return Err(Failure::usage(format!("the text has no {MASK} to fill"))
            .hint(format!("as in: \"a cat on a {MASK}\"")));
    }
    let model = Model::load(context, &context.checkpoint(args.model.model.as_deref())?)?;
    let Some(head) = model.loaded.mlm_head() else {
        return Err(cannot(&model, Task::Fill));
    };
    let seen = sight::sight(&model, &args.input, args.regions.as_deref())?;
    let ids = model.text_with(&args.text, MASK)?;
    let mask = model.tokenizer.token_id(MASK);
    let scores = model.own(head.token_logits(&seen, &[&ids]))?;
    let scores = scores
        .to_vec2::<f32>()
        .map_err(ocellus_models::ModelError::from)?;
    let mut masks = Vec::new();
    for (row, _) in scores.iter().zip(&ids).filter(|(_, id)| Some(**id) == mask) {
        let best = ocellus_tasks::classify::likeliest(row, args.top.get());
        let words = best.into_iter().map(|(id, p)| {
            let word = model.tokenizer.token(id).unwrap_or_default();
            (word, p)
        });
        masks.push(words.collect::<Vec<_>>());
    }
    match args.format {
        Format::Json => {
            let word = |(word, p): &(String, f32)| json!({"word": word, "probability": p});
            let masks: Vec<_> = masks
                .iter()
                .map(|words| words.iter().map(word).collect::<Vec<_>>())
                .collect();
            output::json(&json!({"model": model.name, "masks": masks}))
        }
        Format::Text => {
            let row = |(i, words): (usize, &Vec<(String, f32)>)| {
                let list: Vec<String> = words.iter().map(|(w, p)| format!("{w} {p:.3}")).collect();
                vec![format!("{MASK} {}", i + 1), list.join(", ")]
            };
            let rows: Vec<_> = masks.iter().enumerate().map(row).collect();
            output::write(&output::table(&rows))
        }
    }
}
