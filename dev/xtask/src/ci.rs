//! `cargo xtask ci`: the steps, in order, until one fails.
//!
//! A step's output is kept back: of a step that passes only the lines worth reading are shown (the test summary),
//! of a step that fails everything.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::tidy;

/// One program of the list.
struct Step {
    name: &'static str,
    command: &'static str,
    /// Set for this step, on top of what the caller has set.
    environment: &'static [(&'static str, &'static str)],
    /// Lines shown even when the step passes.
    shows: fn(&str) -> bool,
}

const FMT: Step = step("fmt", "cargo fmt --all --check", &[]);
const CLIPPY: Step = step(
    "clippy",
    "cargo clippy --workspace --all-targets --quiet -- -D warnings",
    &[],
);
const LIBRARY: Step = step(
    "library",
    "cargo check -p ocellus --no-default-features --lib --examples --quiet",
    &[],
);
const TESTS: Step = Step {
    shows: |line| {
        ["Running ", "Doc-tests ", "test result:", "skipped:"]
            .iter()
            .any(|w| line.trim_start().starts_with(w))
    },
    ..step("tests", "cargo test --workspace", &[])
};
const DOCS: Step = step(
    "docs",
    "cargo doc --workspace --no-deps --quiet",
    &[("RUSTDOCFLAGS", "-D warnings")],
);
const DENY: Step = step("deny", "cargo deny check", &[]);

const fn step(
    name: &'static str,
    command: &'static str,
    environment: &'static [(&'static str, &'static str)],
) -> Step {
    Step {
        name,
        command,
        environment,
        shows: |_| false,
    }
}

/// What a step came to.
enum Outcome {
    Passed(String),
    Skipped(&'static str),
    /// The command that repeats the step.
    Failed(String),
}

/// Runs every step in `root` and says how long each took.
pub fn run(root: &Path) -> ExitCode {
    type Run = fn(&Path) -> Outcome;
    let steps: [(&str, Run); 7] = [
        (FMT.name, |root| FMT.run(root)),
        (CLIPPY.name, |root| CLIPPY.run(root)),
        ("tidy", tidy_step),
        (LIBRARY.name, |root| LIBRARY.run(root)),
        (TESTS.name, |root| TESTS.run(root)),
        (DOCS.name, |root| DOCS.run(root)),
        (DENY.name, deny_step),
    ];
    let start = Instant::now();
    let mut done = Vec::new();
    for (name, step) in steps {
        println!("==> {name}");
        let step_start = Instant::now();
        let outcome = step(root);
        let took = seconds(step_start.elapsed());
        match outcome {
            Outcome::Passed(note) => {
                println!(
                    "    {name} passed in {took}{}",
                    if note.is_empty() {
                        note
                    } else {
                        format!(": {note}")
                    }
                );
                done.push(format!("{name} {took}"));
            }
            Outcome::Skipped(why) => {
                println!("    {name} skipped: {why}");
                done.push(format!("{name} skipped"));
            }
            Outcome::Failed(again) => {
                println!(
                    "    {name} FAILED after {took}\n\nci: FAILED at {name}. To repeat it:\n    {again}"
                );
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "\nci: passed in {} ({})",
        seconds(start.elapsed()),
        done.join(", ")
    );
    ExitCode::SUCCESS
}

fn tidy_step(root: &Path) -> Outcome {
    let failures = tidy::failures(root);
    if failures.is_empty() {
        return Outcome::Passed(String::new());
    }
    failures.iter().for_each(|failure| println!("{failure}"));
    Outcome::Failed("cargo xtask tidy".into())
}

fn deny_step(root: &Path) -> Outcome {
    let probe = Command::new("cargo").args(["deny", "--version"]).output();
    if probe.is_ok_and(|output| output.status.success()) {
        DENY.run(root)
    } else {
        Outcome::Skipped("cargo-deny is not installed (cargo install --locked cargo-deny)")
    }
}

impl Step {
    fn run(&self, root: &Path) -> Outcome {
        let mut words = self.command.split(' ');
        let mut command = Command::new(words.next().expect("a command has a first word"));
        command
            .args(words)
            .envs(self.environment.iter().copied())
            .current_dir(root);
        let (passed, lines) = match capture(&mut command, self.shows) {
            Ok(result) => result,
            Err(error) => (false, vec![format!("cannot start `{}`: {error}", self.command)]),
        };
        if passed {
            return Outcome::Passed(totals(&lines).unwrap_or_default());
        }
        lines.iter().for_each(|line| println!("{line}"));
        Outcome::Failed(self.repeat())
    }

    /// The command as one would type it in a shell.
    fn repeat(&self) -> String {
        let settings: Vec<String> = self
            .environment
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\" "))
            .collect();
        format!("{}{}", settings.concat(), self.command)
    }
}

/// Runs `command`; returns whether it succeeded and what it wrote on both streams, in order of arrival.
fn capture(command: &mut Command, shows: fn(&str) -> bool) -> std::io::Result<(bool, Vec<String>)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (sender, lines) = mpsc::channel();
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|stream| Box::new(stream) as _),
        child.stderr.take().map(|stream| Box::new(stream) as _),
    ];
    for stream in streams.into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                // The receiver lives until both streams end.
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
    }
    drop(sender);
    let mut kept = Vec::new();
    for line in lines {
        if shows(&line) {
            println!("    {}", line.trim());
        }
        kept.push(line);
    }
    Ok((child.wait()?.success(), kept))
}

/// Adds up the `test result:` lines of `cargo test`; `None` when there are none.
fn totals(lines: &[impl AsRef<str>]) -> Option<String> {
    let results: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.as_ref().strip_prefix("test result: "))
        .collect();
    let count = |what: &str| -> u64 {
        let of = |line: &&str| {
            line.split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<u64>().ok())
        };
        results.iter().filter_map(of).sum::<u64>()
    };
    let sum = format!(
        "{} passed, {} failed, {} ignored",
        count("passed"),
        count("failed"),
        count("ignored")
    );
    (!results.is_empty()).then_some(sum)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_summaries_add_up() {
        let lines = [
            "running 2 tests",
            "test result: ok. 18 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.09s",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ];
        assert_eq!(totals(&lines).as_deref(), Some("20 passed, 3 failed, 1 ignored"));
        assert_eq!(totals(&["nothing"]), None);
    }

    #[test]
    fn the_command_to_repeat_carries_its_environment() {
        assert_eq!(
            DOCS.repeat(),
            "RUSTDOCFLAGS=\"-D warnings\" cargo doc --workspace --no-deps --quiet"
        );
    }

    #[test]
    fn output_of_both_streams_is_kept_and_the_status_told() {
        let run = |script: &str| capture(Command::new("cargo").arg(script), |_| false);
        let (passed, lines) = run("--version").unwrap();
        assert!(passed && lines[0].starts_with("cargo "), "{lines:?}");
        let (passed, lines) = run("no-such-command-at-all").unwrap();
        assert!(!passed && !lines.is_empty(), "{lines:?}");
        assert!(capture(Command::new("no-such-program-at-all").arg("x"), |_| false).is_err());
    }
}
