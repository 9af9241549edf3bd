//! A document that grows page by page in one of the formats.

use ocellus_tasks::ocr::{OcrLine, OcrPage};
use ocellus_tasks::render;
use serde_json::{Value, json};

use crate::destination::{Destination, Writing};
use crate::error::Failure;
use crate::values::OcrFormat;

/// A document, begun with its first page.
pub struct Document {
    format: OcrFormat,
    model: String,
    /// Whether pages of several inputs stand in it, so that each says whose it is.
    mixed: bool,
    destination: Destination,
    writing: Option<Writing>,
    /// The input of the page before.
    source: Option<String>,
    pages: usize,
}

impl Document {
    pub fn new(format: OcrFormat, model: &str, mixed: bool, destination: Destination) -> Self {
        Self {
            format,
            model: model.to_owned(),
            mixed,
            destination,
            writing: None,
            source: None,
            pages: 0,
        }
    }

    /// Adds a page.
    ///
    /// # Errors
    /// A place that cannot be written.
    pub fn page(&mut self, page: &OcrPage) -> Result<(), Failure> {
        let mut text = String::new();
        if self.writing.is_none() {
            self.writing = Some(self.destination.open()?);
            text.push_str(&self.start());
        }
        let changes = self.source.as_deref() != Some(&page.source);
        self.source = Some(page.source.clone());
        self.pages += 1;
        let first = self.pages == 1;
        match self.format {
            OcrFormat::Text => {
                match (self.mixed && changes, first) {
                    (true, true) => text.push_str(&format!("==> {} <==\n", page.source)),
                    (true, false) => text.push_str(&format!("\n==> {} <==\n", page.source)),
                    (false, true) => {}
                    (false, false) => text.push('\u{c}'),
                }
                text.push_str(&render::text(std::slice::from_ref(page)));
            }
            OcrFormat::Md => {
                if !first {
                    text.push('\n');
                }
                if self.mixed && changes {
                    // Two dashes would end the comment.
                    let name = page.source.replace("--", "- -").replace('>', " ");
                    text.push_str(&format!("<!-- {name} -->\n\n"));
                }
                text.push_str(&render::markdown(std::slice::from_ref(page)));
            }
            OcrFormat::Html => text.push_str(&render::html_page(page)),
            OcrFormat::Hocr => text.push_str(&render::hocr_page(page, self.pages)),
            OcrFormat::Json => {
                text.push_str(if first { "\n" } else { ",\n" });
                text.push_str(&indented(&page_json(page)));
            }
            OcrFormat::Jsonl => {
                let mut line = page_json(page);
                line["model"] = json!(self.model);
                text.push_str(&format!("{line}\n"));
            }
        }
        self.write(&text)
    }

    /// Ends the document. One without pages is not written.
    ///
    /// # Errors
    /// A full disk.
    pub fn end(mut self) -> Result<(), Failure> {
        if self.writing.is_none() {
            return Ok(());
        }
        self.write(match self.format {
            OcrFormat::Text | OcrFormat::Md | OcrFormat::Jsonl => "",
            OcrFormat::Html | OcrFormat::Hocr => render::HTML_END,
            OcrFormat::Json => "\n  ]\n}\n",
        })?;
        self.writing.take().map_or(Ok(()), Writing::finish)
    }

    fn start(&self) -> String {
        match self.format {
            OcrFormat::Text | OcrFormat::Md | OcrFormat::Jsonl => String::new(),
            OcrFormat::Html => render::HTML_START.to_owned(),
            OcrFormat::Hocr => render::HOCR_START.to_owned(),
            OcrFormat::Json => format!("{{\n  \"model\": {},\n  \"pages\": [", json!(self.model)),
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        match &mut self.writing {
            Some(writing) if !text.is_empty() => writing.write(text.as_bytes()),
            _ => Ok(()),
        }
    }
}

/// The ending of files in a format.
pub fn ending(format: OcrFormat) -> &'static str {
    match format {
        OcrFormat::Text => "txt",
        OcrFormat::Json => "json",
        OcrFormat::Jsonl => "jsonl",
        OcrFormat::Md => "md",
        OcrFormat::Html => "html",
        OcrFormat::Hocr => "hocr",
    }
}

fn indented(value: &Value) -> String {
    let lines = format!("{value:#}");
    let lines: Vec<String> = lines.lines().map(|line| format!("    {line}")).collect();
    lines.join("\n")
}

fn page_json(page: &OcrPage) -> Value {
    let number = |v: f32| json!((f64::from(v) * 100.0).round() / 100.0);
    let bbox = |b: [f32; 4]| Value::Array(b.map(number).to_vec());
    let line = |line: &OcrLine| {
        let confidence = (f64::from(line.confidence) * 1e4).round() / 1e4;
        let mut object = json!({ "text": line.text, "bbox": bbox(line.bbox), "confidence": confidence });
        if let Some(quad) = line.quad {
            object["quad"] = quad
                .iter()
                .map(|corner| corner.map(number).to_vec().into())
                .collect::<Vec<Value>>()
                .into();
        }
        if let Some(cell) = line.cell {
            object["cell"] = json!({ "table": cell.table, "row": cell.row, "column": cell.column });
        }
        object
    };
    let lines: Vec<_> = page.lines.iter().map(line).collect();
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
