//! `ocellus ocr`: the text of pictures.

mod document;
mod pages;
mod readers;

use ocellus_models::Task;
use ocellus_session::{GenerationOptions, MAX_TOKENS, PAGE_BYTES, PageOptions, Session, Usage};
use ocellus_tasks::draw::{self, Mark};
use ocellus_tasks::ocr::{OcrLine, OcrPage, WarningKind};

use self::document::{Document, ending};
use self::pages::Pages;
use self::readers::{Done, ReadPage, Readers};
use super::batch::Batch;
use super::drawing::{self, Drawing};
use super::places::{Input, Places, each_input};
use crate::args::{Ocr, Sampling};
use crate::context::Context;
use crate::destination::Destination;
use crate::error::Failure;
use crate::output::size;
use crate::progress::PageBar;

/// Confidence that a drawing does not mention.
const SURE: f32 = 0.9;

/// Reads every input; one that fails is reported and the rest go on. What is finished is written, also when Ctrl-C ends the rest.
pub fn run(context: &Context, args: Ocr) -> Result<(), Failure> {
    args.pixels.check()?;
    let inputs = each_input(&args.inputs);
    // An output that cannot be written is reported before any page is read.
    let output = args.output.as_deref().map(|path| Places::new(path, &inputs));
    let output = output
        .transpose()?
        .unwrap_or(Places::One(Destination::StandardOutput));
    let drawings = Drawings::new(&args, &inputs, &output)?;
    let (count, mixed) = (inputs.len(), inputs.len() > 1);
    let paths = inputs.into_iter().map(|input| input.map(|input| input.path));
    let mut pages = Pages::new(paths.collect());
    let at_least = pages.at_least();
    if let Some(Drawings::One(..)) = &drawings
        && at_least > 1
    {
        return Err(
            Failure::usage(format!("--draw FILE draws one page, and there are {at_least}"))
                .hint("name a folder for them: --draw DIR/"),
        );
    }
    let options = PageOptions {
        keep_uncertain: args.keep_uncertain,
        prompt: args.prompt.clone(),
        bounds: args.pixels.bounds(),
        generation: GenerationOptions {
            max_tokens: args.max_tokens.map(usize::from),
            ..Sampling::default().options()
        },
        page: 0,
    };
    let usage = Usage {
        new_tokens: options.generation.max_tokens.unwrap_or(MAX_TOKENS) as u64,
        ..args.pixels.usage()
    };
    let checkpoint = context.checkpoint(args.model.model.as_deref())?;
    let session = context.open_for(&checkpoint, usage)?;
    session.check_converses(Task::Ocr)?;
    room_for_a_page(context)?;
    no_idle_options(&session, &args)?;
    let model = session.name().to_owned();
    let readers = readers(context, session, options, at_least);
    let mut out = Output {
        bar: PageBar::new(context.global.quiet, at_least.max(count)),
        seen: vec![false; count],
        documents: Documents::new(&args, &model, mixed, output),
        drawings,
        batch: Batch::default(),
    };
    let outcome = readers.each(pages, |done| out.take(done));
    out.bar.finish();
    out.documents.end(outcome.is_ok())?;
    outcome?;
    out.batch.end()
}

/// Fails where not even one page can be read.
fn room_for_a_page(context: &Context) -> Result<(), Failure> {
    match context.available_bytes() {
        Some(bytes) if bytes < PAGE_BYTES => Err(Failure::new(format!(
            "reading a page takes up to {} of memory, and {} are available",
            size(PAGE_BYTES),
            size(bytes)
        ))
        .hint(
            "end other programs, raise the limit of this one, or try all the same with OCELLUS_MEMORY=any",
        )),
        _ => Ok(()),
    }
}

/// How pages are shared among threads.
fn readers(context: &Context, session: Session, options: PageOptions, pages: usize) -> Readers {
    let threads = context.threads();
    // With few pages on many processors, the last would be read by one while the others wait.
    let alone = session.reads_lines() && pages > 1 && pages * 2 >= threads;
    let room = context.available_bytes().map_or(usize::MAX, |bytes| {
        usize::try_from(bytes / PAGE_BYTES).unwrap_or(usize::MAX)
    });
    let count = match alone {
        true => threads.min(pages).min(room),
        // One is read, one prepared.
        false => pages.min(2),
    };
    Readers {
        session,
        options,
        count: count.max(1),
        alone: alone && count > 1,
    }
}

/// Refuses options that a line reader would pass over.
fn no_idle_options(session: &Session, args: &Ocr) -> Result<(), Failure> {
    let given = [
        ("--prompt", args.prompt.is_some()),
        ("--max-tokens", args.max_tokens.is_some()),
        ("--min-pixels", args.pixels.min_pixels.is_some()),
        ("--max-pixels", args.pixels.max_pixels.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) if session.reads_lines() => Err(Failure::usage(format!(
            "{} reads line by line and has no use for {flag}",
            session.name()
        ))
        .hint(format!(
            "leave out {flag}, or name a model that reads whole pages with -m"
        ))),
        _ => Ok(()),
    }
}

/// Where pages go when they are read.
struct Output {
    bar: PageBar,
    /// Inputs of which a page came already.
    seen: Vec<bool>,
    documents: Documents,
    drawings: Option<Drawings>,
    batch: Batch,
}

impl Output {
    fn take(&mut self, done: Done) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.seen[done.input], true) {
            self.bar.lengthen(u64::from(done.pages) - 1);
        }
        let written = self.write(&done);
        let written = self.bar.suspended(|| self.batch.take(written));
        self.bar.advance();
        written
    }

    fn write(&mut self, done: &Done) -> Result<(), Failure> {
        let read = match &done.page {
            Ok(read) => Ok(read),
            Err(failure) => Err(failure.clone()),
        };
        self.bar.suspended(|| {
            let written = read.and_then(|read| {
                told(&read.page);
                self.documents.page(done.input, &read.page)?;
                match &self.drawings {
                    Some(drawings) => drawings.draw(done, read),
                    None => Ok(()),
                }
            });
            // A file is complete with the last page of its input, whatever became of that.
            match done.more {
                true => written,
                false => self.documents.input_ended().and(written),
            }
        })
    }
}

/// Says on standard error what is missing from a page.
fn told(page: &OcrPage) {
    for warning in &page.warnings {
        let (source, number, message) = (&page.source, page.page, &warning.message);
        match warning.kind {
            WarningKind::Length => {
                log::warn!("{source}, page {number}: {message}; --max-tokens N allows more");
            }
            WarningKind::Uncertain => {
                log::warn!("{source}, page {number}: {message}; --keep-uncertain keeps them");
            }
            WarningKind::Skipped => log::warn!("{source}: {message}"),
            WarningKind::Unreadable => {}
        }
    }
}

/// One document, or one for each input.
struct Documents {
    make: Box<dyn Fn(bool, Destination) -> Document>,
    places: Places,
    ending: &'static str,
    mixed: bool,
    open: Option<Document>,
}

impl Documents {
    fn new(args: &Ocr, model: &str, mixed: bool, places: Places) -> Self {
        let (format, model) = (args.format, model.to_owned());
        Self {
            make: Box::new(move |mixed, to| Document::new(format, &model, mixed, to)),
            places,
            ending: ending(format),
            mixed,
            open: None,
        }
    }

    fn page(&mut self, input: usize, page: &OcrPage) -> Result<(), Failure> {
        if self.open.is_none() {
            let mixed = self.mixed && matches!(self.places, Places::One(_));
            self.open = Some((self.make)(mixed, self.places.file(input, self.ending)?));
        }
        self.open.as_mut().map_or(Ok(()), |document| document.page(page))
    }

    fn input_ended(&mut self) -> Result<(), Failure> {
        match (&self.places, self.open.take()) {
            (Places::Each(_), Some(document)) => document.end(),
            (_, document) => {
                self.open = document;
                Ok(())
            }
        }
    }

    /// Ends what is open. A file of one input that was interrupted is kept with the pages that are there.
    fn end(&mut self, complete: bool) -> Result<(), Failure> {
        let ended = self.open.take().map_or(Ok(()), Document::end);
        if complete { ended } else { Ok(()) }
    }
}

/// Where pages with their boxes go.
enum Drawings {
    One(Destination, Drawing),
    Each(Places),
}

impl Drawings {
    fn new(args: &Ocr, inputs: &[Result<Input, Failure>], output: &Places) -> Result<Option<Self>, Failure> {
        let Some(path) = &args.draw else { return Ok(None) };
        let place = Places::new(path, inputs)?;
        Ok(Some(match (place, output) {
            (Places::One(to), Places::One(output)) if to == *output => {
                return Err(
                    Failure::usage("the text and the drawn picture would be written to one place")
                        .hint("name two files with -o and --draw"),
                );
            }
            (Places::One(to), _) => Self::One(to, Drawing::of(path)?),
            (each, _) => Self::Each(each),
        }))
    }

    fn draw(&self, done: &Done, read: &ReadPage) -> Result<(), Failure> {
        let marks: Vec<Mark> = read.page.lines.iter().enumerate().map(mark).collect();
        match self {
            Self::One(..) if read.page.page > 1 => Ok(()),
            Self::One(to, drawing) => drawing::write(to, *drawing, &read.image, &marks),
            Self::Each(places) => {
                let page = match done.pages {
                    1 => "png".to_owned(),
                    _ => format!("{}.png", read.page.page),
                };
                let to = places.file(done.input, &page)?;
                drawing::write(&to, Drawing::Png, &read.image, &marks)
            }
        }
    }
}

/// A line with its number in reading order, and its confidence where that is not high.
fn mark((index, line): (usize, &OcrLine)) -> Mark {
    let label = match line.confidence {
        sure if sure >= SURE => format!("{}", index + 1),
        unsure => format!("{} {unsure:.2}", index + 1),
    };
    let mark = Mark::of_box(line.bbox, label, draw::confidence_colour(line.confidence));
    Mark {
        corners: line.quad.unwrap_or(mark.corners),
        ..mark
    }
}
