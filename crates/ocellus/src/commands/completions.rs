//! `ocellus completions`: a script that teaches a shell our commands.

use clap::CommandFactory;

use crate::args::{Cli, Completions};
use crate::error::Failure;
use crate::output;

/// Prints the script.
pub fn run(args: Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ocellus", &mut script);
    output::write(&String::from_utf8_lossy(&script))
}
