//! `ocellus verify`: a model against recorded results, tensor by tensor.

use std::path::Path;

use ocellus_parity::{CaseReport, Vocabularies};

use crate::args::Verify;
use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::values::{Dtype, Format, KvCache, Quant};

/// Checks every case; exit code 0 only when every tensor of every case passes.
pub fn run(context: &Context, args: Verify) -> Result<(), Failure> {
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

/// Whether a path was meant as a case: what is not there was, and so was a folder that holds a part of one. What stands beside
/// cases in a set, where a shell's `*` finds it too, was not.
fn meant(path: &Path) -> bool {
    const PARTS: [&str; 4] = ["case.json", "expected.safetensors", "inputs.safetensors", "model"];
    !path.exists() || PARTS.iter().any(|part| path.join(part).exists())
}
