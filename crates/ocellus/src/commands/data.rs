//! `ocellus data`: training data.

use std::io::Cursor;
use std::path::Path;

use ocellus_synth::{Corpus, Curriculum, Fonts, Synth};
use serde_json::json;

use crate::args::{self, Data};
use crate::context::Context;
use crate::error::Failure;
use crate::{destination, output};

pub fn run(context: &Context, args: Data) -> Result<(), Failure> {
    match args {
        Data::Synth(args) => synth(context, &args),
    }
}

/// Draws lines of text as pictures and writes what they say beside them, in `lines.jsonl`.
fn synth(context: &Context, args: &args::Synth) -> Result<(), Failure> {
    let folder = &args.output;
    let used = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if used || folder.is_file() {
        return Err(Failure::new(format!("{}: not an empty folder", folder.display()))
            .hint("name a folder that does not exist yet"));
    }
    let characters = match &args.model {
        Some(folder) => ocellus_text::Tokenizer::from_dir(folder)?.single_characters(),
        None => ocellus_synth::charset::latin(),
    };
    let fonts = Fonts::load(&args.fonts, &characters)?;
    let corpus = Corpus::load(&args.corpus, &characters)?;
    if !context.global.quiet {
        output::note(&format!(
            "{} faces, {} lines of text",
            fonts.faces().len(),
            corpus.lines()
        ));
    }
    std::fs::create_dir_all(folder).map_err(|e| Failure::io("make the folder", folder, &e))?;
    let synth = Synth::new(fonts, corpus, characters, args.seed);
    if args.pages {
        return pages(&synth, args);
    }
    let curriculum = Curriculum {
        min_chars: 1,
        max_chars: 44,
        max_cells: 14,
        difficulty: args.difficulty,
    };
    let mut lines = String::new();
    for index in 0..u64::from(args.count.get()) {
        let sample = synth.sample(index, &curriculum);
        let name = format!("{index:06}.png");
        picture(&folder.join(&name), sample.image)?;
        let spans: Vec<[f32; 2]> = sample.spans.iter().map(|s| [s.0, s.1]).collect();
        lines.push_str(&format!(
            "{}\n",
            json!({ "image": name, "text": sample.text, "spans": spans })
        ));
    }
    destination::file(&folder.join("lines.jsonl"), lines.as_bytes())
}

/// Draws whole pages and writes their true lines beside them, in `pages.jsonl`.
fn pages(synth: &Synth, args: &args::Synth) -> Result<(), Failure> {
    let mut lines = String::new();
    for index in 0..u64::from(args.count.get()) {
        let page = synth.page(index, args.difficulty);
        let name = format!("{index:06}.png");
        picture(&args.output.join(&name), page.image)?;
        let truth: Vec<_> = page
            .lines
            .iter()
            .map(|line| {
                json!({
                    "text": line.text, "quad": line.quad(), "baseline": line.baseline, "block": line.block, "chars": line.chars,
                    "cell": line.cell.map(|cell| [cell.table, cell.row, cell.column]),
                })
            })
            .collect();
        lines.push_str(&format!(
            "{}\n",
            json!({ "image": name, "kind": page.kind.name(), "turned": page.turned, "lines": truth })
        ));
    }
    destination::file(&args.output.join("pages.jsonl"), lines.as_bytes())
}

fn picture(path: &Path, image: ocellus_media::Gray) -> Result<(), Failure> {
    let gray = image::GrayImage::from_raw(image.width, image.height, image.data)
        .ok_or_else(|| Failure::new("what was drawn has no pixels"))?;
    let mut png = Cursor::new(Vec::new());
    gray.write_to(&mut png, image::ImageFormat::Png)
        .map_err(Failure::new)?;
    destination::file(path, &png.into_inner())
}
