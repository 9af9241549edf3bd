//! `ocellus detect`: the regions of pictures, for models that take regions.

use std::path::PathBuf;

use ocellus_models::{ClassScore, Detections};
use ocellus_session::{Session, Usage, write_regions};
use ocellus_tasks::draw::Mark;
use serde_json::{Value, json};

use super::batch::each;
use super::drawing::{self, Drawing};
use super::places::{Places, each_input};
use crate::args::Detect;
use crate::context::Context;
use crate::error::Failure;
use crate::values::Format;
use crate::{inputs, output};

/// Prints what is where in pictures, and writes what other models need of it; one that fails is reported and the rest go on.
pub fn run(context: &Context, args: Detect) -> Result<(), Failure> {
    let inputs = each_input(&args.inputs);
    let (several, at) = (inputs.len() > 1, |path: &PathBuf| Places::new(path, &inputs));
    let output = args.output.as_ref().map(at).transpose()?;
    let drawings = args.draw.as_ref().map(at).transpose()?;
    for (flag, places) in [("-o", &output), ("--draw", &drawings)] {
        if let Some(Places::One(..)) = places
            && several
        {
            return Err(Failure::usage(format!(
                "{flag} FILE is for one picture, and there are {}",
                inputs.len()
            ))
            .hint(format!("name a folder for them: {flag} DIR/")));
        }
    }
    let drawing = match (&args.draw, &drawings) {
        (Some(path), Some(Places::One(_))) => Drawing::of(path)?,
        _ => Drawing::Png,
    };
    let checkpoint = context.checkpoint(args.model.model.as_deref())?;
    let session = Session::open(&checkpoint, &context.options(&checkpoint, Usage::default()))?;
    each(inputs.into_iter().enumerate(), |(index, input)| {
        let path = input?.path;
        let (source, bytes) = (inputs::name(&path), inputs::read(&path)?);
        let found = session.detect(&bytes).map_err(|error| error.about(&source))?;
        if let Some(places) = &output {
            let to = places.file(index, "safetensors")?;
            to.write(&regions_file(&found)?)?;
        }
        if let Some(places) = &drawings {
            let picture = ocellus_media::decode(&bytes, &Default::default())?.image;
            drawing::write(
                &places.file(index, "png")?,
                drawing,
                &picture,
                &marks(&session, &found),
            )?;
        }
        let report = Report {
            session: &session,
            source: &source,
            found: &found,
            several,
        };
        match args.format {
            Format::Json => report.json(),
            Format::Text => report.text(),
        }
    })
}

/// What was found in one picture, printed.
struct Report<'r> {
    session: &'r Session,
    source: &'r str,
    found: &'r Detections,
    several: bool,
}

impl Report<'_> {
    fn rows(&self) -> impl Iterator<Item = (&[f32; 4], &ClassScore, &ClassScore)> {
        let found = self.found;
        let classes = found.objects.iter().zip(&found.attributes);
        let rows = found.regions.boxes.iter().zip(classes);
        rows.map(|(corners, (object, attribute))| (corners, object, attribute))
    }

    /// An object, indented where it is the only one, else a line.
    fn json(&self) -> Result<(), Failure> {
        let [objects, attributes] = self.session.labels();
        let value = json!({
            "source": self.source,
            "model": self.session.name(),
            "width": self.found.regions.width as u64,
            "height": self.found.regions.height as u64,
            "regions": self.rows()
                .map(|(corners, object, attribute)| json!({
                    "bbox": corners,
                    "object": told(object, objects),
                    "attribute": told(attribute, attributes),
                }))
                .collect::<Vec<_>>(),
        });
        match self.several {
            true => output::line(&value.to_string()),
            false => output::json(&value),
        }
    }

    fn text(&self) -> Result<(), Failure> {
        let [objects, attributes] = self.session.labels();
        let head = ["object", "p", "attribute", "p", "x1", "y1", "x2", "y2"];
        let rows = self.rows().map(|(corners, object, attribute)| {
            let guess = |g: &ClassScore, labels| [name(g, labels), format!("{:.3}", g.probability)];
            let mut row = [guess(object, objects), guess(attribute, attributes)].concat();
            row.extend(corners.iter().map(|px| format!("{px:.0}")));
            row
        });
        if self.several {
            output::line(&format!("==> {} <==", self.source))?;
        }
        let head = head.map(str::to_owned).to_vec();
        output::write(&output::table(
            &std::iter::once(head).chain(rows).collect::<Vec<_>>(),
        ))
    }
}

/// Colour of the boxes of regions.
const BOX_COLOUR: [u8; 3] = [220, 40, 40];

/// The regions with what is in them.
fn marks(session: &Session, found: &Detections) -> Vec<Mark> {
    let [objects, _] = session.labels();
    let regions = found.regions.boxes.iter().zip(&found.objects);
    let mark = |(bbox, object): (&[f32; 4], &ClassScore)| {
        let label = format!("{} {:.2}", name(object, objects), object.probability);
        Mark::of_box(*bbox, label, BOX_COLOUR)
    };
    regions.map(mark).collect()
}

/// The bytes of a file of regions.
fn regions_file(found: &Detections) -> Result<Vec<u8>, Failure> {
    let io = |error: &std::io::Error| Failure::io("write", std::path::Path::new("a temporary file"), error);
    let folder = tempfile::tempdir().map_err(|e| io(&e))?;
    let path = folder.path().join("regions.safetensors");
    write_regions(&path, found)?;
    std::fs::read(&path).map_err(|e| io(&e))
}

fn told(guess: &ClassScore, labels: &[String]) -> Value {
    let label = labels.get(guess.class as usize);
    json!({"id": guess.class, "label": label, "confidence": guess.probability})
}

fn name(guess: &ClassScore, labels: &[String]) -> String {
    let label = labels.get(guess.class as usize).cloned();
    label.unwrap_or_else(|| format!("#{}", guess.class))
}
