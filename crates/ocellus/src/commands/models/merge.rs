//! `ocellus models merge`: writes a model with its adapter merged into the weights.

use crate::args::Merge;
use crate::context::Context;
use crate::error::Failure;
use crate::output;

/// Writes `args.output`. It appears whole or not at all.
pub fn run(context: &Context, args: &Merge) -> Result<(), Failure> {
    if args.output.exists() {
        return Err(
            Failure::usage(format!("{} is there already", args.output.display()))
                .hint("name a folder that is not there yet"),
        );
    }
    let checkpoint = context.checkpoint(Some(&args.model))?;
    let merged = ocellus_session::merge(&checkpoint, &args.output)?;
    context.warn(&merged.adapter.warnings)?;
    output::links_left_out(&merged.left_out);
    output::note(&format!(
        "{}: {} of weights, {} matrices and {} other tensors of them changed",
        args.output.display(),
        output::size(merged.bytes),
        merged.adapter.matrices,
        merged.adapter.replaced
    ));
    Ok(())
}
