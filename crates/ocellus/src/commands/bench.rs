//! `ocellus bench`: how fast a model runs on this machine.

use std::path::PathBuf;
use std::sync::Arc;

use ocellus::SystemClock;
use ocellus_base::clock::Clock;
use ocellus_bench::{
    Conditions, Costs, Measured, Profiler, Report, Streams, Work, ceilings, intake, measure, streams,
};
use ocellus_kernels::isa::Isa;
use ocellus_media::test_card;
use ocellus_session::Usage;
use ocellus_tasks::layout::{STRIP_HEIGHT_PX, STRIP_WIDTH_PX};

use super::machine;
use crate::args::Bench;
use crate::context::Context;
use crate::error::Failure;
use crate::memory;
use crate::{destination, output};

/// Seed of the picture.
const SEED: u64 = 0;
/// Width and height of the picture, unless asked for others.
const PICTURE: (u32, u32) = (1092, 784);

/// Loads the model, measures, prints.
pub fn run(context: &Context, args: &Bench) -> Result<(), Failure> {
    let work = Work {
        prompt_tokens: args.prompt_tokens as usize,
        tokens: args.tokens as usize,
        runs: args.runs.into(),
    };
    let asked = args.image_size.map(|size| (size.width_px, size.height_px));
    let name = args.name.as_deref().or(args.model.model.as_deref());
    let checkpoint = context.checkpoint(name)?;
    let clock = Arc::new(SystemClock::start());
    for file in args.profile.iter().chain(&stacks(args)) {
        destination::place(file)?;
    }
    let usage = Usage {
        pictures: vec![asked.unwrap_or(PICTURE)],
        text_tokens: work.prompt_tokens as u64,
        new_tokens: work.tokens as u64,
        streams: args.streams.iter().copied().max().unwrap_or(1).into(),
        ..args.pixels.usage()
    };
    let session = context.open_for(&checkpoint, usage)?;
    let load_s = clock.now_ns() as f64 / 1e9;
    // A model that cannot be timed says so before the work begins.
    session.vlm()?;
    let usual = match session.reads_lines() {
        true => (STRIP_WIDTH_PX, STRIP_HEIGHT_PX),
        false => PICTURE,
    };
    let (width, height) = asked.unwrap_or(usual);
    let picture = test_card(width, height, SEED);
    let told = |measured: &Measured| {
        if !context.global.quiet {
            tell(measured, work.runs);
        }
    };
    let profiler = args.profile.as_ref().map(|_| Profiler::new(clock.clone()));
    if let Some(profiler) = &profiler {
        ocellus_base::trace::record(Box::new(profiler.clone()));
    }
    let measured = measure(&session, &picture, args.pixels.bounds(), &work, &*clock, told)?;
    let peak_bytes = memory::peak_bytes();
    let profile = profiler.map(|profiler| profiler.profile());
    let intake = intake(&session, &picture, args.pixels.bounds(), work.runs, &*clock)?;
    let counts: Vec<usize> = args.streams.iter().map(|count| usize::from(*count)).collect();
    let told = |row: &Streams| {
        if !context.global.quiet {
            let (streams, all) = (row.streams, row.decode_tok_s);
            output::note(&format!("{streams} at once: decoding {all:.1} tokens/s"));
        }
    };
    let streams = streams(
        &session,
        &picture,
        args.pixels.bounds(),
        (&work, &counts),
        &*clock,
        told,
    )?;
    let storage = *session.storage();
    let shape = session.shape();
    let costs = shape.map(|shape| Costs::of(shape, &measured, &storage));
    let name = session.name().to_owned();
    // Measuring the ceilings needs its memory.
    drop(session);
    let ceilings = (!args.no_ceilings).then(|| ceilings(memory::memory().available_bytes, &*clock));
    let report = Report {
        conditions: Conditions {
            model: name,
            weights: storage.name.to_owned(),
            image: (width, height),
            threads: context.threads(),
            processor: machine::processor(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            isa: Isa::detect().level().name().to_owned(),
        },
        measured,
        intake,
        load_s,
        peak_bytes,
        costs,
        ceilings,
        streams,
        profile,
    };
    if let (Some(flames), Some(folded), Some(profile)) = (&args.profile, stacks(args), &report.profile) {
        destination::file(flames, profile.flames(&report.conditions.title()).as_bytes())?;
        destination::file(&folded, profile.folded().as_bytes())?;
    }
    match args.json {
        true => output::line(&report.json().to_string()),
        false => output::write(&report.table()),
    }
}

/// The file with the stacks of the profile.
fn stacks(args: &Bench) -> Option<PathBuf> {
    let mut name = args.profile.clone()?.into_os_string();
    name.push(".folded");
    Some(name.into())
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
