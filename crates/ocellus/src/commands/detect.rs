//! `ocellus detect`: the regions of a picture, for models that look at regions.

use candle_core::{Device, Tensor};
use ocellus_base::limits::Limits;
use ocellus_models::VisualFormat;
use ocellus_models::{ClassScore, Detections, ModelError, Task};
use ocellus_weights::{Dtype, TensorBytes, f32_bytes, i64_bytes};
use serde_json::{Value, json};

use super::able::unable;
use crate::args::Detect;
use crate::context::Context;
use crate::error::Failure;
use crate::model::Wordless;
use crate::values::Format;
use crate::{inputs, output};

/// Prints what is where in a picture, and writes what other models need of it.
pub fn run(context: &Context, args: Detect) -> Result<(), Failure> {
    if let Some(path) = &args.output {
        output::place(path)?;
    }
    let model = Wordless::load(context, &context.checkpoint(args.model.model.as_deref())?)?;
    let source = inputs::name(&args.input);
    let found = find(&model, &inputs::read(&args.input)?).map_err(|f| f.about(&source))?;
    if let Some(path) = &args.output {
        ocellus_weights::write(path, &arrays(&found)?, &Default::default())?;
    }
    let regions = found
        .regions
        .boxes
        .iter()
        .zip(&found.objects)
        .zip(&found.attributes);
    let [objects, attributes] = &model.labels;
    match args.format {
        Format::Json => output::json(&json!({
            "source": source,
            "model": model.name,
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

fn find(model: &Wordless, bytes: &[u8]) -> Result<Detections, Failure> {
    let (Some(detector), VisualFormat::Planes(recipe)) =
        (model.loaded.detector(), model.loaded.input().visual)
    else {
        return Err(unable(&model.name, Task::Detect));
    };
    let picture = ocellus_media::decode(bytes, &Limits::default())?.image;
    let pixels = recipe.apply(&picture)?;
    let planes = Tensor::from_vec(pixels.values, (3, pixels.height, pixels.width), &Device::Cpu);
    let planes = planes.map_err(ModelError::from)?;
    Ok(detector.detect(&planes, (picture.height, picture.width))?)
}

/// The arrays of a file of regions, and what the detector says of each beside them.
fn arrays(found: &Detections) -> Result<Vec<TensorBytes>, Failure> {
    let regions = &found.regions;
    let (count, width) = regions.features.dims2().map_err(ModelError::from)?;
    let features = regions.features.flatten_all();
    let features = features.and_then(|f| f.to_dtype(candle_core::DType::F32)?.to_vec1::<f32>());
    let floats = |name: &str, shape: &[usize], values: &[f32]| {
        let bytes = f32_bytes(values, Dtype::F32)?;
        Ok::<_, Failure>((name.to_owned(), Dtype::F32, shape.to_vec(), bytes))
    };
    let classes = |name: &str, guesses: &[ClassScore]| {
        let ids: Vec<i64> = guesses.iter().map(|g| i64::from(g.class)).collect();
        (name.to_owned(), Dtype::I64, vec![count], i64_bytes(&ids))
    };
    let chances = |guesses: &[ClassScore]| guesses.iter().map(|g| g.probability).collect::<Vec<_>>();
    Ok(vec![
        floats("features", &[count, width], &features.map_err(ModelError::from)?)?,
        floats("boxes", &[count, 4], regions.boxes.as_flattened())?,
        floats("size", &[2], &[regions.width, regions.height])?,
        floats("scores", &[count], &chances(&found.objects))?,
        classes("objects", &found.objects),
        classes("attributes", &found.attributes),
        floats("attribute_scores", &[count], &chances(&found.attributes))?,
    ])
}

fn told(guess: &ClassScore, labels: &[String]) -> Value {
    let label = labels.get(guess.class as usize);
    json!({"id": guess.class, "label": label, "confidence": guess.probability})
}

fn name(guess: &ClassScore, labels: &[String]) -> String {
    let label = labels.get(guess.class as usize).cloned();
    label.unwrap_or_else(|| format!("#{}", guess.class))
}
