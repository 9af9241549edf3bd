//! One file per command.

mod answer;
mod ask;
mod bench;
mod caption;
mod chat;
mod classify;
mod completions;
mod data;
mod detect;
mod doctor;
mod embed;
mod fill;
mod machine;
mod models;
mod ocr;
mod score;
mod train;
mod verify;

use std::path::{Path, PathBuf};

use ocellus_session::prefetched;

use crate::args::{Command, Models};
use crate::context::Context;
use crate::error::Failure;
use crate::{environment, inputs};

/// Runs a command.
pub fn run(context: &Context, command: Command) -> Result<(), Failure> {
    let computes = matches!(
        command,
        Command::Ask(_)
            | Command::Chat(_)
            | Command::Ocr(_)
            | Command::Caption(_)
            | Command::Score(_)
            | Command::Classify(_)
            | Command::Fill(_)
            | Command::Embed(_)
            | Command::Detect(_)
            | Command::Train(_)
            | Command::Verify(_)
            | Command::Bench(_)
            | Command::Models(Models::Quantize(_))
    );
    if computes {
        environment::settle_threads();
        context.settle_kernels()?;
    }
    match command {
        Command::Ask(args) => ask::run(context, args),
        Command::Chat(args) => chat::run(context, args),
        Command::Ocr(args) => ocr::run(context, args),
        Command::Caption(args) => caption::run(context, args),
        Command::Score(args) => score::run(context, args),
        Command::Classify(args) => classify::run(context, args),
        Command::Fill(args) => fill::run(context, args),
        Command::Embed(args) => embed::run(context, args),
        Command::Detect(args) => detect::run(context, args),
        Command::Models(args) => models::run(context, args),
        Command::Verify(args) => verify::run(context, args),
        Command::Data(args) => data::run(context, args),
        Command::Train(args) => train::run(context, args),
        Command::Bench(args) => bench::run(context, &args),
        Command::Doctor(args) => doctor::run(context, args),
        Command::Completions(args) => completions::run(args),
    }
}

/// Runs `action` on what `prepare` makes of every picture, the next one being prepared meanwhile; one that fails is reported
/// when it is its turn, and the rest go on.
fn each_prepared<T: Send>(
    arguments: &[PathBuf],
    prepare: impl Fn(&Path) -> Result<T, Failure> + Sync,
    mut action: impl FnMut(T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    prefetched(
        inputs::all(arguments),
        |path| path.as_ref().is_ok_and(|path| inputs::may_wait(path)),
        |path| prepare(&path?),
        |pictures| each(pictures, |picture| action(picture?)),
    )
}

/// Runs `action` on every item; one that fails is reported and the rest go on. The end is then exit code 1.
fn each<T>(
    items: impl IntoIterator<Item = T>,
    mut action: impl FnMut(T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut failed = false;
    for item in items {
        match action(item) {
            // An interruption, or nobody listening any more, ends the batch.
            Err(failure) if failure.code() != 1 => return Err(failure),
            Err(failure) => {
                failure.report();
                failed = true;
            }
            Ok(()) => {}
        }
    }
    if failed { Err(Failure::reported()) } else { Ok(()) }
}
