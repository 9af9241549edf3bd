//! `ocellus ocr`: the text of pictures.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::Path;

use ocellus_media::Rgb;
use ocellus_models::Task;
use ocellus_session::{Event, PreparedPage, Session};
use ocellus_tasks::ocr::{OcrPage, WarningKind};
use ocellus_tasks::{draw, render};
use serde_json::{Value, json};

use super::batch::each_prepared;
use crate::args::{Ocr, Sampling};
use crate::context::Context;
use crate::error::Failure;
use crate::interrupt::Listener;
use crate::values::OcrFormat;
use crate::{inputs, output};

/// Colour of drawn boxes.
const BOX_COLOUR: [u8; 3] = [220, 40, 40];

/// Reads every input; one that fails is reported and the rest go on.
pub fn run(context: &Context, args: Ocr) -> Result<(), Failure> {
    // An output that cannot be written is reported before any page is read.
    for path in args.output.iter().chain(&args.draw) {
        output::place(path)?;
    }
    let session = context.open(args.model.model.as_deref())?;
    session.check_converses(Task::Ocr)?;
    let mut pages: Vec<OcrPage> = Vec::new();
    let prepare = |path: &Path| Ready::new(&session, path, args.keep_uncertain);
    let outcome = each_prepared(&args.inputs, prepare, |ready| {
        let page = ready.read(&session).map_err(|f| f.about(&ready.name))?;
        for warning in &page.warnings {
            if warning.kind == WarningKind::Uncertain {
                log::warn!("{}: {}; --keep-uncertain keeps them", ready.name, warning.message);
            }
        }
        if let Some(to) = &args.draw {
            if !pages.is_empty() {
                return Err(Failure::usage("--draw draws one picture").hint("read one input at a time"));
            }
            picture(to, &ready.page.image, &page)?;
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
            format!("{:#}\n", json!({ "model": session.name(), "pages": pages }))
        }
    };
    match &args.output {
        Some(path) => output::file(path, document.as_bytes())?,
        None if args.format == OcrFormat::Text => {}
        None => output::write(&document)?,
    }
    outcome
}

/// A page that is ready to be read.
struct Ready {
    name: String,
    page: PreparedPage,
}

impl Ready {
    fn new(session: &Session, path: &Path, keep_uncertain: bool) -> Result<Self, Failure> {
        let name = inputs::name(path);
        let page = session.prepare_page(&inputs::read(path)?, &Sampling::default().options());
        let mut page = page.map_err(|error| error.about(&name))?;
        page.keep_uncertain = keep_uncertain;
        Ok(Self { name, page })
    }

    fn read(&self, session: &Session) -> Result<OcrPage, Failure> {
        // Strips are short; Ctrl-C ends the program among them.
        let listener = (!session.reads_lines()).then(Listener::new);
        let flow = |_: Event| {
            listener
                .as_ref()
                .map_or(ControlFlow::Continue(()), Listener::flow)
        };
        let text = session.read_page(&self.page, &mut { flow })?;
        Ok(OcrPage::new(&self.name, 1, &self.page.image, text))
    }
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
