//! The binary: arguments, environment, terminal, defaults. Everything that computes lives in the rooms below.
//!
//! Standard output carries results only; progress, logs and hints go to standard error. Exit codes: 0 done, 1 something
//! failed, 2 wrong usage, 130 interrupted.

mod adapter_error;
mod args;
mod colour;
mod commands;
mod context;
mod destination;
mod environment;
mod error;
mod inputs;
mod interrupt;
mod lines;
mod logging;
mod memory;
mod natural;
mod options;
mod output;
mod progress;
mod terminal;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::FromArgMatches;

use crate::args::Cli;
use crate::context::Context;
use crate::environment::Environment;
use crate::error::Failure;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A user gets one sentence, never a backtrace.
    std::panic::set_hook(Box::new(|info| {
        // The input is told to be damaged instead.
        if ocellus_base::contained::is_contained() {
            return;
        }
        let place = info
            .location()
            .map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
        let payload = info.payload();
        let owned = payload.downcast_ref::<String>().map(String::as_str);
        let what = owned
            .or(payload.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Failure::new(format!("internal error{place}: {what}"))
            .hint("this is a mistake in ocellus itself; please report it with the command that led to it")
            .report();
    }));
    interrupt::install();
    let read = options::command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches).map(|cli| (cli, matches)));
    let (cli, matches) = match read {
        Ok(read) => read,
        Err(error) => {
            // Help and version are results; wrong usage is not.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let run = || options::check(&matches).and_then(|()| run(cli));
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            failure.report();
            ExitCode::from(failure.code())
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let environment = Environment::read()?;
    logging::install(&cli.global, &environment);
    commands::run(&Context::new(cli.global, environment), cli.command)
}
