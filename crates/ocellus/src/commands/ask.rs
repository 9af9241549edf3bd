//! `ocellus ask`: one question, one answer.

use ocellus_models::Task;
use ocellus_session::Usage;
use serde_json::json;

use super::{able, answers, phrased};
use crate::args::Ask;
use crate::context::Context;
use crate::error::Failure;
use crate::model::Model;
use crate::question::{self, Seen};
use crate::values::Format;
use crate::{inputs, output};

/// Reads the pictures, loads the model, prints the answer.
pub fn run(context: &Context, args: Ask) -> Result<(), Failure> {
    let pixels = &args.pixels;
    if let (Some(min), Some(max)) = (pixels.min_pixels, pixels.max_pixels)
        && min > max
    {
        return Err(
            Failure::usage(format!("--min-pixels {min} is more than --max-pixels {max}"))
                .hint("exchange the two values, or leave one out"),
        );
    }
    let files = args
        .images
        .iter()
        .map(|path| inputs::read(path))
        .collect::<Result<Vec<_>, _>>()?;
    let checkpoint = context.checkpoint(args.model.model.as_deref())?;
    let started = std::time::Instant::now();
    let asked = args.sampling.max_tokens.map_or(question::MAX_TOKENS, |n| n.get());
    let usage = Usage {
        new_tokens: asked as u64,
        pictures: Usage::of_files(&files).pictures,
        ..pixels.usage()
    };
    let model = Model::load_for(context, &checkpoint, &usage)?;
    let load_ms = started.elapsed().as_millis();
    if let (None, Some(classifier)) = (model.loaded.generator(), model.loaded.classifier()) {
        able::takes_only(&model, &args, &["--regions"])?;
        return answers::run(&model, classifier, &args);
    }
    if model.loaded.generator().is_none() {
        return Err(able::cannot(&model, Task::Ask));
    }
    if let Some(phrases) = model.loaded.input().prompts {
        able::takes_only(&model, &args, &["--answers"])?;
        return phrased::run(&model, &args, &files, phrases.question);
    }
    able::takes_only(&model, &args, &["--system"])?;
    if model.reads_lines {
        only_reads(context, &model, args.images.len())?;
    }
    let mut pictures = Vec::with_capacity(files.len());
    for (path, bytes) in args.images.iter().zip(&files) {
        pictures.push(Seen::new(&model, bytes, pixels).map_err(|e| e.about(&inputs::name(path)))?);
    }
    let conversation =
        ocellus_tasks::ask::conversation(pictures.len(), args.question(), args.system.as_deref());
    let request = question::request(&model, &conversation, &pictures, &args.sampling)?;
    let stream = args.format == Format::Text && !args.no_stream;
    let answer = question::answer(&model, &request, &args.sampling.stop, |piece| {
        if stream { output::write(piece) } else { Ok(()) }
    })?;
    match args.format {
        Format::Text if stream => output::line("")?,
        Format::Text => output::line(&answer.text)?,
        Format::Json => {
            let [encode_ms, prefill_ms, decode_ms] = answer.timing.ms();
            let tokens = answer.generated.tokens.len();
            let vision: Vec<_> = pictures.iter().enumerate().map(|(i, p)| p.json(i)).collect();
            let image_tokens: u64 = vision.iter().filter_map(|v| v["tokens"].as_u64()).sum();
            output::json(&json!({
                "text": answer.text,
                "finish_reason": answer.generated.finish.as_str(),
                "model": model.name,
                "seed": request.sampling.seed,
                "token_ids": answer.generated.tokens.iter().map(|t| t.id).collect::<Vec<_>>(),
                "usage": {
                    "prompt_tokens": request.ids.len(), "image_tokens": image_tokens, "completion_tokens": tokens,
                },
                "vision": vision,
                "timing": {
                    "load_ms": load_ms as u64, "encode_ms": encode_ms, "prefill_ms": prefill_ms,
                    "decode_ms": decode_ms,
                    "tokens_per_second": tokens as f64 * 1000.0 / decode_ms.max(1) as f64,
                },
            }))?;
        }
    }
    if answer.generated.finish == ocellus_engine::FinishReason::Cancelled {
        return Err(Failure::interrupted());
    }
    Ok(())
}

/// A line reader answers nothing: it reads one picture of one line, whatever it is asked.
fn only_reads(context: &Context, model: &Model, pictures: usize) -> Result<(), Failure> {
    let name = &model.name;
    let hint = "`ocellus ocr FILE` reads a page; for questions name a model that answers them: -m ORG/NAME or -m FOLDER";
    if pictures != 1 {
        return Err(Failure::new(format!(
            "{name} reads exactly one picture of a line of print, not {pictures}"
        ))
        .hint(hint));
    }
    if !context.global.quiet {
        output::note(&format!(
            "{name} only reads: it takes the picture as one line of print and does not see the question"
        ));
    }
    Ok(())
}
