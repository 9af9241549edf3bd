//! `ocellus verify`: a model against recorded results, tensor by tensor.

use std::path::{Path, PathBuf};

use ocellus_parity::oracle::{self, Outcome};
use ocellus_parity::{CaseReport, Vocabularies};

use crate::args::Verify;
use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::values::{Dtype, Format, KvCache, Quant};

/// Checks every case; exit code 0 only when every tensor of every case passes.
pub fn run(context: &Context, args: Verify) -> Result<(), Failure> {
    if !args.oracle.is_empty() {
        return records(&args.oracle, args.format);
    }
    let all = &args.cases;
    if !all.iter().any(|path| path.join("case.json").is_file()) {
        // What was meant, before what stands beside it; clap asks for one at least.
        let first = all.iter().find(|path| meant(path)).or(all.first());
        let name = first.map_or(String::new(), |path| path.display().to_string());
        return Err(
            Failure::new(format!("{name}: not a case, expected case.json in it")).hint(
                "a case is a folder with case.json, model, inputs.safetensors and expected.safetensors",
            ),
        );
    }
    let (cases, others): (Vec<_>, Vec<_>) = args.cases.into_iter().partition(|path| meant(path));
    for other in others.iter().filter(|_| !context.global.quiet) {
        output::note(&format!("{}: not a case, left out", other.display()));
    }
    if context.global.kv_cache != KvCache::Full {
        return Err(
            Failure::usage("cases are run with keys and values as products read them")
                .hint("leave out --kv-cache"),
        );
    }
    let width = context.global.quant.unwrap_or(match context.global.dtype {
        Some(Dtype::Bf16) => Quant::Bf16,
        _ => Quant::F32,
    });
    let vocabularies = Vocabularies {
        files: &args.vocabulary,
        how_to_give: "give it with --vocabulary FILE (a rank file, tekken.json or tokenizer.json)",
    };
    let reports = ocellus_parity::verify(&cases, &vocabularies, width);
    match args.format {
        Format::Text => output::write(&ocellus_parity::text(&reports))?,
        Format::Json => output::json(&ocellus_parity::json(&reports))?,
    }
    if reports.iter().all(CaseReport::pass) {
        Ok(())
    } else {
        Err(Failure::reported())
    }
}

/// Compares recorded answers: exit code 1 when one differs or cannot be read, else 2 when a kind is not known.
fn records(paths: &[PathBuf], format: Format) -> Result<(), Failure> {
    let mut files = Vec::new();
    for path in paths {
        files.extend(oracle::files(path).map_err(|e| Failure::io("list its files", path, &e))?);
    }
    if files.is_empty() {
        let message = format!("{}: no file of records in it", paths[0].display());
        return Err(Failure::new(message).hint("records are JSON lines in files that end in .jsonl"));
    }
    let reports: Vec<_> = files.iter().map(|file| oracle::check(file)).collect();
    match format {
        Format::Text => output::write(&oracle::text(&reports))?,
        Format::Json => output::json(&oracle::json(&reports))?,
    }
    let any = |wanted: fn(&Outcome) -> bool| reports.iter().any(|r| wanted(&r.outcome));
    if any(|o| matches!(o, Outcome::Differs | Outcome::Unreadable(_))) {
        return Err(Failure::reported());
    }
    let unknown = reports.iter().find_map(|r| match &r.outcome {
        Outcome::UnknownKind(reason) => Some(format!("{}: {reason}", r.file.display())),
        _ => None,
    });
    match unknown {
        Some(reason) => Err(Failure::usage(reason).hint("name the files of the kinds that can be answered")),
        None => Ok(()),
    }
}

/// Whether a path was meant as a case: what is not there was, and so was a folder that holds a part of one. What stands beside
/// cases in a set, where a shell's `*` finds it too, was not.
fn meant(path: &Path) -> bool {
    const PARTS: [&str; 4] = ["case.json", "expected.safetensors", "inputs.safetensors", "model"];
    !path.exists() || PARTS.iter().any(|part| path.join(part).exists())
}
