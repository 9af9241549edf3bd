//! One file per command.

mod answer;
mod ask;
mod batch;
mod bench;
mod caption;
mod chat;
mod classify;
mod completions;
mod data;
mod detect;
mod doctor;
mod drawing;
mod embed;
mod fill;
mod machine;
mod models;
mod ocr;
mod places;
mod score;
mod train;
mod verify;

use crate::args::{Command, Models};
use crate::context::Context;
use crate::environment;
use crate::error::Failure;

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
    if matches!(command, Command::Train(_)) {
        environment::settle_threads();
    }
    if computes {
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
        Command::Man(args) => completions::manual(&args),
    }
}
