//! Questions to models that are not spoken to in conversations: one picture, one phrase, an answer written or chosen.

use std::path::Path;

use ocellus_engine::EngineError;
use ocellus_text::TextForm;
use serde_json::json;

use crate::args::Ask;
use crate::clock::SystemClock;
use crate::error::Failure;
use crate::model::Model;
use crate::values::Format;
use crate::{output, prompt, question};

/// Answers that are measured in full.
const MEASURED: usize = 128;
/// Answers shown beside the first.
const SHOWN: usize = 5;

/// Prints the answer as it is written, or the likeliest of a list.
pub fn run(model: &Model, args: &Ask, pictures: &[Vec<u8>], phrase: &str) -> Result<(), Failure> {
    if pictures.len() != 1 {
        let count = pictures.len();
        return Err(Failure::usage(format!(
            "{} answers questions about exactly one picture, not {count}",
            model.name
        ))
        .hint("give one --image"));
    }
    let pictures: Vec<&[u8]> = pictures.iter().map(Vec::as_slice).collect();
    let mut request = prompt::question(model, phrase, &pictures, args.question())?;
    request.sampling = model.generation.sampling(&args.sampling);
    if let Some(list) = &args.answers {
        return choose(model, &request, list, args.format);
    }
    request.max_tokens = args.sampling.max_tokens.map_or(question::MAX_TOKENS, |n| n.get());
    request.max_tokens = request.max_tokens.min(model.loaded.facts().max_positions / 2);
    let stream = args.format == Format::Text && !args.no_stream;
    let answer = question::answer(model, &request, &args.sampling.stop, |piece| {
        if stream { output::write(piece) } else { Ok(()) }
    })?;
    let [encode_ms, prefill_ms, decode_ms] = answer.timing.ms();
    match args.format {
        Format::Text if stream => output::line("")?,
        Format::Text => output::line(answer.text.trim())?,
        Format::Json => output::json(&json!({
            "text": answer.text.trim(),
            "finish_reason": answer.generated.finish.as_str(),
            "model": model.name,
            "seed": request.sampling.seed,
            "token_ids": answer.generated.tokens.iter().map(|t| t.id).collect::<Vec<_>>(),
            "timing": {
                "encode_ms": encode_ms, "prefill_ms": prefill_ms,
                "decode_ms": decode_ms,
            },
        }))?,
    }
    if answer.generated.finish == ocellus_engine::FinishReason::Cancelled {
        return Err(Failure::interrupted());
    }
    Ok(())
}

/// Ranks the answers of a file, one a line.
fn choose(
    model: &Model,
    request: &ocellus_engine::Request,
    list: &Path,
    format: Format,
) -> Result<(), Failure> {
    let text = std::fs::read_to_string(list).map_err(|e| Failure::io("read", list, &e))?;
    let texts: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if texts.is_empty() {
        return Err(
            Failure::new(format!("{}: the file has no answers", list.display()))
                .hint("write one answer a line"),
        );
    }
    let end = model.ends().first().copied();
    let mut answers = Vec::with_capacity(texts.len());
    for text in &texts {
        let mut ids = TextForm::BARE.ids(&model.tokenizer, text)?;
        ids.extend(end);
        answers.push(ids);
    }
    let clock = SystemClock::start();
    let mut engine = model.engine(&clock)?;
    let ranked = engine
        .rank(request, &answers, MEASURED)
        .map_err(|error| match error {
            EngineError::Context { .. } => too_long(list, &texts, &answers),
            other => other.into(),
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
                "text": best, "finish_reason": "stop", "model": model.name, "answers": shown,
            }))
        }
    }
}

/// That the longest of the answers does not fit beside the question.
fn too_long(list: &Path, texts: &[&str], answers: &[Vec<u32>]) -> Failure {
    let longest = texts.iter().zip(answers).max_by_key(|(_, ids)| ids.len());
    let (text, tokens) = longest.map_or(("", 0), |(text, ids)| (text, ids.len()));
    let start: String = text.chars().take(40).collect();
    Failure::new(format!(
        "{}: an answer of {tokens} tokens does not fit beside the question",
        list.display()
    ))
    .hint(format!(
        "shorten the answer that begins `{start}`, or the question"
    ))
}
