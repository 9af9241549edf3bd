//! `cargo xtask <command>`: checks of the source tree, what CI runs, and comparisons of speed.

mod bench;
mod ci;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask <command>

  ci       everything a change must pass: fmt, clippy, tidy, tests, docs, deny
  tidy     the rules of ARCHITECTURE.md that a machine can check
  bench    our program and others that do the same work, measured in turn
  help     this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ci"] => ci::run(&root()),
        ["tidy"] => tidy::run(&root()),
        ["bench", "peers", ..] => bench::peers(&root(), &arguments[2..]),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}\n{}", bench::HELP);
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("{HELP}");
            ExitCode::from(2)
        }
    }
}

/// The root of the repository that this program was built from.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("dev/xtask lies two folders below the root")
        .to_path_buf()
}
