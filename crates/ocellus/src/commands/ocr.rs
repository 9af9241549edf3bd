//! `ocellus ocr`: the text of pictures.

use std::io::Cursor;
use std::path::Path;

use ocellus_engine::Request;
use ocellus_media::{Decoded, Rgb};
use ocellus_models::Task;
use ocellus_tasks::layout::{LineText, PageText};
use ocellus_tasks::ocr::{CutPage, OcrPage};
use ocellus_tasks::{draw, render};
use ocellus_text::Conversation;
use serde_json::{Value, json};

use super::{able, each_prepared};
use crate::args::{self, Ocr, Pixels};
use crate::context::Context;
use crate::error::Failure;
use crate::model::Model;
use crate::question::{self, Seen};
use crate::values::OcrFormat;
use crate::{inputs, output, reader};

/// What a model that reads whole pages is asked.
const QUESTION: &str = "Read all the text in the image. Give the text only, line by line.";

/// Colour of drawn boxes.
const BOX_COLOUR: [u8; 3] = [220, 40, 40];

/// Reads every input; one that fails is reported and the rest go on.
pub fn run(context: &Context, args: Ocr) -> Result<(), Failure> {
    // A place that cannot be written must not cost the reading of all pages.
    for path in args.output.iter().chain(&args.draw) {
        output::place(path)?;
    }
    let checkpoint = context.checkpoint(args.model.model.as_deref())?;
    let model = Model::load(context, &checkpoint)?;
    able::converses(&model, Task::Ocr)?;
    let mut pages: Vec<OcrPage> = Vec::new();
    let prepare = |path: &Path| Ready::new(&model, path);
    let outcome = each_prepared(&args.inputs, prepare, |ready| {
        let page = ready.read(&model).map_err(|f| f.about(&ready.name))?;
        if let Some(to) = &args.draw {
            if !pages.is_empty() {
                return Err(Failure::usage("--draw draws one picture").hint("read one input at a time"));
            }
            picture(to, &ready.image, &page)?;
        }
        // Plain text is shown page by page; the other formats are one document.
        if args.format == OcrFormat::Text && args.output.is_none() {
            output::write(&render::text(std::slice::from_ref(&page)))?;
        }
        pages.push(page);
        Ok(())
    });
    if outcome.as_ref().is_err_and(|failure| failure.code() != 1) {
        return outcome;
    }
    let document = match args.format {
        OcrFormat::Text => render::text(&pages),
        OcrFormat::Md => render::markdown(&pages),
        OcrFormat::Html => render::html(&pages),
        OcrFormat::Hocr => render::hocr(&pages),
        OcrFormat::Json => {
            let pages: Vec<_> = pages.iter().map(page_json).collect();
            format!("{:#}\n", json!({ "model": model.name, "pages": pages }))
        }
    };
    match &args.output {
        Some(path) => output::file(path, document.as_bytes())?,
        None if args.format == OcrFormat::Text => {}
        None => output::write(&document)?,
    }
    outcome
}

/// A picture with everything done to it that can be done while the model is busy with another.
struct Ready {
    name: String,
    /// Upright.
    image: Rgb,
    ask: Ask,
}

/// What the model is given of it.
enum Ask {
    Lines(CutPage),
    Page(Box<Request>),
}

impl Ready {
    fn new(model: &Model, path: &Path) -> Result<Self, Failure> {
        let name = inputs::name(path);
        let bytes = inputs::read(path)?;
        let prepare = || {
            let decoded = ocellus_media::decode(&bytes, &ocellus_base::limits::Limits::default())?;
            let ask = if model.reads_lines {
                Ask::Lines(CutPage::new(&decoded.image))
            } else {
                Ask::Page(Box::new(whole_page(model, &decoded)?))
            };
            Ok((decoded.image, ask))
        };
        let (image, ask) = prepare().map_err(|failure: Failure| failure.about(&name))?;
        Ok(Self { name, image, ask })
    }

    fn read(&self, model: &Model) -> Result<OcrPage, Failure> {
        let text = match &self.ask {
            Ask::Lines(page) => page.read(&mut |strips| reader::read(model, strips))?,
            Ask::Page(request) => read_whole(model, request, &self.image)?,
        };
        Ok(OcrPage::new(&self.name, 1, &self.image, text))
    }
}

/// What a model that reads whole pages is asked of one.
fn whole_page(model: &Model, page: &Decoded) -> Result<Request, Failure> {
    let pixels = Pixels {
        min_pixels: None,
        max_pixels: None,
    };
    let seen = Seen::of(model, page, &pixels)?;
    let conversation = Conversation::about_images(1, QUESTION);
    question::request(model, &conversation, &[seen], &args::Sampling::default())
}

/// A larger model reads the page at once. It gives no boxes, so a line's box is the page.
fn read_whole(model: &Model, request: &Request, image: &Rgb) -> Result<PageText, Failure> {
    let answer = question::answer(model, request, &[], |_| Ok(()))?;
    if answer.generated.finish == ocellus_engine::FinishReason::Cancelled {
        return Err(Failure::interrupted());
    }
    let tokens = &answer.generated.tokens;
    let mean = tokens.iter().map(|t| t.log_probability).sum::<f32>() / tokens.len().max(1) as f32;
    let bbox = [0.0, 0.0, image.width as f32, image.height as f32];
    let line = |text: &str| LineText {
        text: text.to_owned(),
        bbox,
        confidence: mean.exp(),
        em_px: 1.0,
    };
    let lines: Vec<_> = answer
        .text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .map(line)
        .collect();
    let text = lines
        .iter()
        .map(|l| l.text.as_str())
        .collect::<Vec<_>>()
        .join("\n");
    Ok(PageText {
        lines,
        text,
        ..PageText::default()
    })
}

fn page_json(page: &OcrPage) -> Value {
    let number = |v: f32| json!((f64::from(v) * 100.0).round() / 100.0);
    let bbox = |b: [f32; 4]| Value::Array(b.map(number).to_vec());
    let lines: Vec<_> = page
        .lines
        .iter()
        .map(|l| json!({ "text": l.text, "bbox": bbox(l.bbox), "confidence": (f64::from(l.confidence) * 1e4).round() / 1e4 }))
        .collect();
    let warnings: Vec<_> = page
        .warnings
        .iter()
        .map(|w| json!({ "kind": w.kind.name(), "message": w.message, "bbox": bbox(w.bbox) }))
        .collect();
    json!({
        "source": page.source, "page": page.page, "width": page.width, "height": page.height, "blank": page.blank,
        "text": page.text, "lines": lines, "warnings": warnings,
    })
}

fn picture(to: &Path, image: &Rgb, page: &OcrPage) -> Result<(), Failure> {
    let boxes: Vec<[f32; 4]> = page.lines.iter().map(|l| l.bbox).collect();
    let drawn = draw::boxes(image, &boxes, BOX_COLOUR);
    let drawn = image::RgbImage::from_raw(drawn.width, drawn.height, drawn.data)
        .ok_or_else(|| Failure::new("the drawn picture has no pixels"))?;
    let mut png = Cursor::new(Vec::new());
    drawn
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(Failure::new)?;
    output::file(to, &png.into_inner())
}
