//! `ocellus detect`: the regions of a picture, for models that take regions.

use ocellus_models::ClassScore;
use ocellus_session::{Session, Usage, write_regions};
use serde_json::{Value, json};

use crate::args::Detect;
use crate::context::Context;
use crate::error::Failure;
use crate::values::Format;
use crate::{inputs, output};

/// Prints what is where in a picture, and writes what other models need of it.
pub fn run(context: &Context, args: Detect) -> Result<(), Failure> {
    if let Some(path) = &args.output {
        output::place(path)?;
    }
    let checkpoint = context.checkpoint(args.model.model.as_deref())?;
    let session = Session::open(&checkpoint, &context.options(Usage::default()))?;
    let source = inputs::name(&args.input);
    let found = session.detect(&inputs::read(&args.input)?);
    let found = found.map_err(|error| error.about(&source))?;
    if let Some(path) = &args.output {
        write_regions(path, &found)?;
    }
    let regions = found
        .regions
        .boxes
        .iter()
        .zip(&found.objects)
        .zip(&found.attributes);
    let [objects, attributes] = session.labels();
    match args.format {
        Format::Json => output::json(&json!({
            "source": source,
            "model": session.name(),
            "width": found.regions.width,
            "height": found.regions.height,
            "regions": regions
                .map(|((corners, object), attribute)| json!({
                    "bbox": corners,
                    "object": told(object, objects),
                    "attribute": told(attribute, attributes),
                }))
                .collect::<Vec<_>>(),
        })),
        Format::Text => {
            let head = ["object", "p", "attribute", "p", "x1", "y1", "x2", "y2"];
            let rows = regions.map(|((corners, object), attribute)| {
                let guess = |g: &ClassScore, labels| [name(g, labels), format!("{:.3}", g.probability)];
                let mut row = [guess(object, objects), guess(attribute, attributes)].concat();
                row.extend(corners.iter().map(|px| format!("{px:.0}")));
                row
            });
            let head = head.map(str::to_owned).to_vec();
            output::write(&output::table(
                &std::iter::once(head).chain(rows).collect::<Vec<_>>(),
            ))
        }
    }
}

fn told(guess: &ClassScore, labels: &[String]) -> Value {
    let label = labels.get(guess.class as usize);
    json!({"id": guess.class, "label": label, "confidence": guess.probability})
}

fn name(guess: &ClassScore, labels: &[String]) -> String {
    let label = labels.get(guess.class as usize).cloned();
    label.unwrap_or_else(|| format!("#{}", guess.class))
}
