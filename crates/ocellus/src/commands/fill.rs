//! `ocellus fill`: words for the masks in a text about a picture.

use ocellus_models::Task;
use ocellus_session::MASK;
use serde_json::json;

use super::ask::sight;
use crate::args::Fill;
use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::values::Format;

/// Prints the likeliest words for every mask.
pub fn run(context: &Context, args: Fill) -> Result<(), Failure> {
    if !args.text.contains(MASK) {
        return Err(Failure::usage(format!("the text has no {MASK} to fill"))
            .hint(format!("as in: \"a cat on a {MASK}\"")));
    }
    let session = context.open(args.model.model.as_deref())?;
    if session.model().mlm_head().is_none() {
        return Err(session.cannot(Task::Fill).into());
    }
    let sight = sight(&session, &args.input, args.regions.as_deref())?;
    let masks = session.fill(&sight, &args.text, args.top.get())?;
    match args.format {
        Format::Json => {
            let word = |(word, p): &(String, f32)| json!({"word": word, "probability": p});
            let masks: Vec<_> = masks
                .iter()
                .map(|words| words.iter().map(word).collect::<Vec<_>>())
                .collect();
            output::json(&json!({"model": session.name(), "masks": masks}))
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
