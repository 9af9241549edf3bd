//! `ocellus verify`: a model against recorded results, tensor by tensor.

use crate::args::Verify;
use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::values::Format;
use crate::verify;

/// Checks every case; exit code 0 only when every tensor of every case passes.
pub fn run(_context: &Context, args: Verify) -> Result<(), Failure> {
    // One folder that is no case is a failed case among others; nothing but such folders is a mistake in the command.
    if let Some(first) = args
        .cases
        .first()
        .filter(|_| !args.cases.iter().any(|c| c.join("case.json").is_file()))
    {
        let message = format!("{}: not a case, expected case.json in it", first.display());
        return Err(Failure::new(message)
            .hint("a case is a folder with case.json, model, inputs.safetensors and expected.safetensors"));
    }
    let reports = verify::verify(&args.cases, &args.vocabulary);
    match args.format {
        Format::Text => output::write(&verify::text(&reports))?,
        Format::Json => output::json(&verify::json(&reports))?,
    }
    if reports.iter().all(verify::CaseReport::pass) {
        Ok(())
    } else {
        Err(Failure::reported())
    }
}
