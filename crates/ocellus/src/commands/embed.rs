//! `ocellus embed`: pictures and texts as vectors of length 1 in one space.

use std::path::Path;

use candle_core::Tensor;
use ocellus_models::Task;
use serde_json::json;

use super::able::cannot;
use crate::args::Embed;
use crate::context::Context;
use crate::error::Failure;
use crate::model::Model;
use crate::values::Format;
use crate::{output, sight};

/// Prints a vector for every input: of the picture when a file of that name exists, else of the text.
pub fn run(context: &Context, args: Embed) -> Result<(), Failure> {
    let model = Model::load(context, &context.checkpoint(args.model.model.as_deref())?)?;
    let Some(embedder) = model.loaded.embedder() else {
        return Err(cannot(&model, Task::Embed));
    };
    super::each(&args.inputs, |input| {
        let path = Path::new(input);
        let (kind, vector) = if path.exists() || input == "-" {
            let seen = sight::sight(&model, path, None)?;
            ("image", model.own(embedder.pictures(&seen))?)
        } else {
            let texts = model.texts(std::slice::from_ref(input))?;
            ("text", model.own(embedder.texts(&[&texts[0]]))?)
        };
        let vector = values(&vector)?;
        match args.format {
            // A line each, so that a long list can be read as it grows.
            Format::Json => {
                output::line(&json!({"input": input, "kind": kind, "embedding": vector}).to_string())
            }
            Format::Text => {
                let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
                output::line(&numbers.join(" "))
            }
        }
    })
}

fn values(vector: &Tensor) -> Result<Vec<f32>, Failure> {
    let values = vector.flatten_all().and_then(|v| v.to_vec1());
    values.map_err(|e| ocellus_models::ModelError::from(e).into())
}
