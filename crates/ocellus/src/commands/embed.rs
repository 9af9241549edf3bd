//! `ocellus embed`: pictures and texts as vectors of length 1 in one space.

use std::path::Path;

use candle_core::Tensor;
use ocellus_models::{Sight, Task};
use serde_json::json;

use super::able::cannot;
use crate::args::Embed;
use crate::context::Context;
use crate::error::Failure;
use crate::model::Model;
use crate::values::Format;
use crate::{ahead, inputs, output, sight};

/// Prints a vector for every input: of the picture when a file of that name exists, else of the text.
pub fn run(context: &Context, args: Embed) -> Result<(), Failure> {
    let model = Model::load(context, &context.checkpoint(args.model.model.as_deref())?)?;
    let Some(embedder) = model.loaded.embedder() else {
        return Err(cannot(&model, Task::Embed));
    };
    let prepare = |input: &String| Ok((input.clone(), Given::new(&model, input)?));
    let may_wait = |input: &&String| inputs::may_wait(Path::new(input));
    let act = |(input, given): (String, Given)| {
        let (kind, vector) = match given {
            Given::Picture(seen) => ("image", model.own(embedder.pictures(&seen))?),
            Given::Text(ids) => ("text", model.own(embedder.texts(&[&ids]))?),
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
    };
    ahead::prepared(&args.inputs, may_wait, prepare, |inputs| {
        super::each(inputs, |ready: Result<_, Failure>| act(ready?))
    })
}

/// An input as the model takes it.
enum Given {
    Picture(Sight),
    Text(Vec<u32>),
}

impl Given {
    fn new(model: &Model, input: &String) -> Result<Self, Failure> {
        let path = Path::new(input);
        Ok(if path.exists() || input == "-" {
            Self::Picture(sight::sight(model, path, None)?)
        } else {
            Self::Text(model.texts(std::slice::from_ref(input))?.concat())
        })
    }
}

fn values(vector: &Tensor) -> Result<Vec<f32>, Failure> {
    let values = vector.flatten_all().and_then(|v| v.to_vec1());
    values.map_err(|e| ocellus_models::ModelError::from(e).into())
}
