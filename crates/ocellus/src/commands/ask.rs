//! `ocellus ask`: one question, one answer.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use ocellus_base::limits::PICTURES;
use ocellus_engine::{FinishReason, Request};
use ocellus_models::{Task, VisualInput};
use ocellus_session::{Answer, GenerationOptions, MAX_TOKENS, PreparedPicture, Session, SessionError, Usage};
use serde_json::{Value, json};

use super::answer::{warnings, written};
use crate::args::Ask;
use crate::context::Context;
use crate::error::Failure;
use crate::values::Format;
use crate::{inputs, output};

/// Answers shown beside the first.
const SHOWN: usize = 5;

/// Reads the pictures, loads the model, prints the answer.
pub fn run(context: &Context, args: Ask) -> Result<(), Failure> {
    args.pixels.check()?;
    let args = Ask {
        prompt: Some(question(&args)?),
        ..args
    };
    let pixels = &args.pixels;
    let found = args.pictures().count();
    if found > PICTURES {
        return Err(Failure::usage(format!(
            "expected at most {PICTURES} pictures in a question, found {found}"
        ))
        .hint("ask about fewer at a time"));
    }
    let files = args
        .pictures()
        .map(|path| inputs::read(path))
        .collect::<Result<Vec<_>, _>>()?;
    let options = args.sampling.options();
    let usage = Usage {
        pictures: Usage::of_files(&files).pictures,
        new_tokens: options.max_tokens.unwrap_or(MAX_TOKENS) as u64,
        ..pixels.usage()
    };
    let checkpoint = context.checkpoint(args.model.model.as_deref())?;
    let started = Instant::now();
    let session = context.open_for(&checkpoint, usage)?;
    let load_ms = started.elapsed().as_millis() as u64;
    let model = session.model();
    if model.generator().is_none() && model.classifier().is_some() {
        takes_only(&session, &args, &["--regions"])?;
        return choose(&session, &args, &files);
    }
    if model.generator().is_none() {
        return Err(session.cannot(Task::Ask).into());
    }
    if model.input().prompts.is_some() {
        takes_only(&session, &args, &["--answers"])?;
        return phrase(&session, &args, &files, &options);
    }
    takes_only(&session, &args, &["--system", "--image-after"])?;
    if session.reads_lines() {
        only_reads(context, &session, files.len())?;
    }
    let mut pictures = Vec::with_capacity(files.len());
    for (path, bytes) in args.pictures().zip(&files) {
        let picture = session.picture(bytes, pixels.bounds());
        pictures.push(picture.map_err(|error| error.about(&inputs::name(path)))?);
    }
    let places = (args.images.len(), args.images_after.len());
    let conversation = ocellus_tasks::ask::conversation(places, args.question(), args.system.as_deref());
    let request = session.request(&conversation, &pictures, &options)?;
    let stream = args.format == Format::Text && !args.no_stream;
    let answer = written(
        (&session, &mut session.engine()?),
        &request,
        &options.stop,
        stream,
    )?;
    if args.format == Format::Text {
        match stream {
            true => output::line("")?,
            false => output::line(&answer.text)?,
        }
    }
    let warnings = warnings(&session, "the answer", answer.finish, answer.tokens.len());
    timings(&answer, load_ms);
    if args.format == Format::Json {
        let mut value = conversation_json(&session, &request, &pictures, &answer, load_ms);
        value["warnings"] = warnings.into();
        output::json(&value)?;
    }
    complete(&answer)
}

/// How long the parts of an answer took, for `--log-level info`.
fn timings(answer: &Answer, load_ms: u64) {
    let [encode_ms, prefill_ms, decode_ms] = answer.timing.ms();
    log::info!(
        "load {load_ms} ms, pictures {encode_ms} ms, prompt {prefill_ms} ms, {} tokens in {decode_ms} ms",
        answer.tokens.len()
    );
}

/// The question of the command line, or standard input where that has none or says `-`.
fn question(args: &Ask) -> Result<String, Failure> {
    let given = match (&args.prompt, &args.text[..]) {
        (Some(prompt), _) => Some(prompt.clone()),
        (None, []) => None,
        (None, [text]) if args.images.is_empty() && inputs::is_picture_file(Path::new(text)) => {
            return Err(Failure::usage(format!("{text} is a picture and would be taken as the question"))
                .hint(format!("ocellus ask --image {text} \"QUESTION\"; a question of this spelling is given with -p")));
        }
        (None, [text]) => Some(text.clone()),
        (None, [first, ..]) if inputs::is_picture_file(Path::new(first)) => {
            return Err(Failure::usage(format!(
                "{first} is a picture and stands where the question stands"
            ))
            .hint(format!(
                "pictures are given with --image: ocellus ask --image {first} \"QUESTION\""
            )));
        }
        (None, texts) => {
            return Err(
                Failure::usage(format!("expected one question, found {} arguments", texts.len()))
                    .hint("put the question into quotation marks"),
            );
        }
    };
    if let Some(text) = given.filter(|text| text != "-") {
        return Ok(text);
    }
    let absent = || {
        Failure::usage("a question is required")
            .hint("give it as an argument, with --prompt, or on standard input")
    };
    if std::io::stdin().is_terminal() {
        return Err(absent());
    }
    if args.pictures().any(|path| path == Path::new("-")) {
        return Err(
            Failure::usage("the question and a picture would both come from standard input")
                .hint("give the question as an argument"),
        );
    }
    let text = inputs::read_text(Path::new("-"))?;
    match text.trim() {
        "" => Err(absent()),
        text => Ok(text.to_owned()),
    }
}

fn conversation_json(
    session: &Session,
    request: &Request,
    pictures: &[PreparedPicture],
    answer: &Answer,
    load_ms: u64,
) -> Value {
    let [encode_ms, prefill_ms, decode_ms] = answer.timing.ms();
    let tokens = answer.tokens.len();
    let image_tokens: usize = pictures.iter().map(|p| p.geometry.tokens).sum();
    json!({
        "text": answer.text,
        "finish_reason": answer.finish.as_str(),
        "model": session.name(),
        "seed": request.sampling.seed,
        "token_ids": answer.tokens.iter().map(|t| t.id).collect::<Vec<_>>(),
        "usage": {
            "prompt_tokens": request.ids.len(), "image_tokens": image_tokens, "completion_tokens": tokens,
        },
        "vision": pictures.iter().enumerate().map(|(i, p)| picture_json(i, p)).collect::<Vec<_>>(),
        "timing": {
            "load_ms": load_ms, "encode_ms": encode_ms, "prefill_ms": prefill_ms,
            "decode_ms": decode_ms,
            "tokens_per_second": tokens as f64 * 1000.0 / decode_ms.max(1) as f64,
        },
    })
}

/// The entry of the `vision` block.
fn picture_json(index: usize, picture: &PreparedPicture) -> Value {
    let geometry = &picture.geometry;
    let pair = |(w, h): (u32, u32)| json!([w, h]);
    json!({
        "index": index, "kind": "image", "original": pair(geometry.original), "oriented": pair(geometry.oriented),
        "resized": pair(geometry.resized), "grid": [geometry.grid.t, geometry.grid.h, geometry.grid.w],
        "tokens": geometry.tokens,
    })
}

/// An answer that Ctrl-C ended is printed and the command fails all the same.
fn complete(answer: &Answer) -> Result<(), Failure> {
    match answer.finish {
        FinishReason::Cancelled => Err(Failure::interrupted()),
        _ => Ok(()),
    }
}

/// A model that takes single questions: prints the answer as it is written, or the likeliest of a list.
fn phrase(
    session: &Session,
    args: &Ask,
    files: &[Vec<u8>],
    options: &GenerationOptions,
) -> Result<(), Failure> {
    let [file] = files else {
        return Err(picture_count(session, 1, files.len()).into());
    };
    let picture = session.picture(file, Default::default())?;
    let request = session.phrase_request(picture, args.question(), options)?;
    if let Some(list) = &args.answers {
        return rank(session, &request, list, args.format);
    }
    let stream = args.format == Format::Text && !args.no_stream;
    let answer = written((session, &mut session.engine()?), &request, &options.stop, stream)?;
    let [encode_ms, prefill_ms, decode_ms] = answer.timing.ms();
    let warnings = warnings(session, "the answer", answer.finish, answer.tokens.len());
    match args.format {
        Format::Text if stream => output::line("")?,
        Format::Text => output::line(answer.text.trim())?,
        Format::Json => output::json(&json!({
            "text": answer.text.trim(),
            "finish_reason": answer.finish.as_str(),
            "model": session.name(),
            "seed": request.sampling.seed,
            "token_ids": answer.tokens.iter().map(|t| t.id).collect::<Vec<_>>(),
            "warnings": warnings,
            "timing": {
                "encode_ms": encode_ms, "prefill_ms": prefill_ms,
                "decode_ms": decode_ms,
            },
        }))?,
    }
    complete(&answer)
}

fn picture_count(session: &Session, expected: usize, found: usize) -> SessionError {
    SessionError::PictureCount {
        name: session.name().to_owned(),
        expected,
        found,
    }
}

/// Ranks the answers of a file, one a line.
fn rank(session: &Session, request: &Request, list: &Path, format: Format) -> Result<(), Failure> {
    let text = ocellus_base::files::read_text(list, ocellus_base::limits::TEXT_BYTES as u64)
        .map_err(|e| Failure::io("read", list, &e))?;
    let texts = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let texts: Vec<&str> = texts.collect();
    if texts.is_empty() {
        return Err(
            Failure::new(format!("{}: the file has no answers", list.display()))
                .hint("write one answer a line"),
        );
    }
    let ranked = session
        .rank_answers(request, &texts)
        .map_err(|error| match error {
            SessionError::AnswerTooLong { .. } => error.about(&list.display().to_string()),
            other => other,
        })?;
    let best = ranked.first().map_or("", |r| texts[r.answer]);
    match format {
        Format::Text => output::line(best),
        Format::Json => {
            let shown: Vec<_> = ranked
                .iter()
                .take(SHOWN)
                .map(|r| json!({"text": texts[r.answer], "log_likelihood": r.log_likelihood}))
                .collect();
            output::json(&json!({
                "text": best, "finish_reason": "stop", "model": session.name(), "answers": shown,
            }))
        }
    }
}

/// A model that chooses its answer from a fixed list: prints the likeliest, or with JSON the likeliest few.
fn choose(session: &Session, args: &Ask, files: &[Vec<u8>]) -> Result<(), Failure> {
    let expected = session
        .model()
        .classifier()
        .map_or(1, |classifier| classifier.picture_count());
    let sight = match (&args.images[..], &args.regions) {
        ([picture], regions) if expected == 1 => sight(session, picture, regions.as_deref())?,
        // The regions are the model's whole input from the picture.
        ([], Some(found)) => sight(session, found, Some(found))?,
        (pictures, None) if pictures.len() == expected => {
            let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
            session.sights(&files)?
        }
        (pictures, _) => return Err(picture_count(session, expected, pictures.len()).into()),
    };
    let answers = session.choose_answer(&sight, args.question())?;
    let text = answers.first().map_or("", |(answer, _)| answer);
    match args.format {
        Format::Text => output::line(text),
        Format::Json => output::json(&json!({
            "text": text, "finish_reason": "stop", "model": session.name(),
            "answers": answers.iter().map(|(a, p)| json!({"text": a, "probability": p})).collect::<Vec<_>>(),
        })),
    }
}

/// A picture file, or what a detector found in it, as the model takes it.
pub fn sight(session: &Session, picture: &Path, found: Option<&Path>) -> Result<VisualInput, Failure> {
    session.check_sight(found.is_some())?;
    let about = |error: SessionError| error.about(&inputs::name(found.unwrap_or(picture)));
    Ok(match found {
        Some(file) => session.regions(file).map_err(about)?,
        None => session.sight(&inputs::read(picture)?).map_err(about)?,
    })
}

/// Refuses texts that are picture files: commands about one picture take one.
pub fn no_pictures(texts: &[String], command: &str, what: &str) -> Result<(), Failure> {
    let picture = texts.iter().find(|text| inputs::is_picture_file(Path::new(text)));
    picture.map_or(Ok(()), |picture| {
        Err(
            Failure::usage(format!("{picture} is a picture and stands where {what} stand")).hint(format!(
                "`ocellus {command}` looks at one picture; run it once for each"
            )),
        )
    })
}

/// Refuses options that this model would pass over: all but those it `takes`.
fn takes_only(session: &Session, args: &Ask, takes: &[&str]) -> Result<(), Failure> {
    let given = [
        ("--answers", args.answers.is_some()),
        ("--regions", args.regions.is_some()),
        ("--system", args.system.is_some()),
        ("--image-after", !args.images_after.is_empty()),
    ];
    let idle = given.iter().find(|(flag, given)| *given && !takes.contains(flag));
    idle.map_or(Ok(()), |(flag, _)| {
        Err(
            Failure::usage(format!("{} has no use for {flag}", session.name())).hint(format!(
                "leave out {flag}; `ocellus ask --help` says which models take it"
            )),
        )
    })
}

/// A line reader answers no questions: it reads one picture of one line and ignores the question.
fn only_reads(context: &Context, session: &Session, pictures: usize) -> Result<(), Failure> {
    let name = session.name();
    let hint = "`ocellus ocr FILE` reads a page; for questions name a model that answers them: -m ORG/NAME or -m FOLDER";
    if pictures != 1 {
        return Err(Failure::new(format!(
            "{name} reads exactly one picture of a line of print, not {pictures}"
        ))
        .hint(hint));
    }
    if !context.global.quiet {
        output::note(&session.only_reads());
    }
    Ok(())
}
