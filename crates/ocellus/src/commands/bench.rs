//! `ocellus bench`: how fast a model runs on this machine.

use ocellus_base::clock::Clock;
use ocellus_kernels::isa::Isa;
use ocellus_media::test_card;

use super::machine;
use crate::args::Bench;
use crate::bench::{Measured, Report, Setting, Work, intake, measure};
use crate::clock::SystemClock;
use crate::context::Context;
use crate::error::Failure;
use crate::model::Model;
use crate::output;
use crate::values::Dtype;

/// Seed of the picture.
const SEED: u64 = 0;

/// Loads the model, measures, prints.
pub fn run(context: &Context, args: &Bench) -> Result<(), Failure> {
    let work = Work::of(args);
    let name = args.name.as_deref().or(args.model.model.as_deref());
    let checkpoint = context.checkpoint(name)?;
    let clock = SystemClock::start();
    let model = Model::load(context, &checkpoint)?;
    let load_s = clock.now_ns() as f64 / 1e9;
    // A model that cannot be timed says so before the work begins.
    model.vlm()?;
    let size = work.image;
    let picture = test_card(size.width_px, size.height_px, SEED);
    let told = |measured: &Measured| {
        if !context.global.quiet {
            tell(measured, work.runs);
        }
    };
    let measured = measure(&model, &picture, &args.pixels, &work, &clock, told)?;
    let peak_bytes = machine::peak_bytes();
    let intake = intake(&model, &picture, &args.pixels, work.runs, &clock)?;
    let report = Report {
        setting: Setting {
            model: model.name.clone(),
            weights: weights(context).to_owned(),
            image: (size.width_px, size.height_px),
            threads: context.threads(),
            processor: machine::processor(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            isa: format!("{:?}", Isa::detect().level()),
        },
        measured,
        intake,
        load_s,
        peak_bytes,
    };
    match args.json {
        true => output::line(&report.json().to_string()),
        false => output::write(&report.table()),
    }
}

/// How the weights are held.
fn weights(context: &Context) -> &'static str {
    match context.global.dtype {
        None | Some(Dtype::F32) => "f32",
        Some(Dtype::Bf16) => "bf16",
        Some(Dtype::F16) => "f16",
    }
}

/// A line about the run that just ended.
fn tell(measured: &Measured, runs: usize) {
    if let Some(run) = measured.runs.last() {
        output::note(&format!(
            "run {} of {runs}: tower {:.2} s, prefill {:.1} tokens/s, decoding {:.2} tokens/s",
            measured.runs.len(),
            run.encode_s,
            measured.prefill_tok_s(run),
            measured.decode_tok_s(run)
        ));
    }
}
