//! `ocellus models quantize`: writes a quantised copy of a model's folder, with weights packed for the kernels.

use ocellus_session::{Calibration, Unquantised};

use super::calibrate;
use crate::args::Quantize;
use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::values::Quant;

/// Writes `args.output`. It appears whole or not at all.
pub fn run(context: &Context, args: &Quantize) -> Result<(), Failure> {
    let width = match context.global.quant {
        Some(width @ (Quant::Q8 | Quant::Q6 | Quant::Q4)) => width,
        None => Quant::Q4,
        Some(_) => {
            return Err(Failure::usage("a model is quantised to q8, q6 or q4")
                .hint("`--quant q8` keeps most, `--quant q4` (the default) is smallest"));
        }
    };
    if width == Quant::Q8 && !args.calibration.is_empty() {
        return Err(
            Failure::usage("weights of 8 bits are rounded the same with and without calibration")
                .hint("leave out --calibration, or use it with `--quant q6` or `--quant q4`"),
        );
    }
    if args.output.exists() {
        return Err(
            Failure::usage(format!("{} is there already", args.output.display()))
                .hint("name a folder that is not there yet"),
        );
    }
    let checkpoint = context.checkpoint(Some(&args.model))?;
    let model = Unquantised::open(&checkpoint)?;
    context.warn(&model.warnings)?;
    let calibration = match args.calibration[..] {
        [] => Calibration::default(),
        _ => calibrate::gather(context, &checkpoint, width, &args.calibration)?,
    };
    let rows = calibration.rows;
    let written = model.write(&args.output, width, calibration)?;
    let on = match rows {
        0 => String::new(),
        rows => format!(", calibrated on {rows} rows"),
    };
    output::links_left_out(&written.left_out);
    output::note(&format!(
        "{}: {} of weights, {} before{on}",
        args.output.display(),
        output::size(written.after_bytes),
        output::size(written.before_bytes)
    ));
    Ok(())
}
