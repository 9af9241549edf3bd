//! Which of the options about computing and models each command makes use of. The others are neither shown there nor accepted.

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory};

use crate::args::Cli;
use crate::error::Failure;

/// Options about computing and models, by the names of their fields.
const ALL: [&str; 7] = [
    "device",
    "dtype",
    "quant",
    "activations",
    "kv_cache",
    "base",
    "threads",
];

/// Commands that do not take all of them, and what they take.
const FEWER: [(&[&str], &[&str]); 16] = [
    (&["models", "list"], &[]),
    (&["models", "pull"], &["base"]),
    (&["models", "show"], &["base"]),
    (&["models", "rm"], &[]),
    (&["models", "families"], &[]),
    (
        &["models", "plan"],
        &["device", "dtype", "quant", "activations", "kv_cache", "base"],
    ),
    (&["models", "merge"], &["base", "threads"]),
    (&["models", "quantize"], &["quant", "base", "threads"]),
    (&["models"], &[]),
    (&["verify"], &["dtype", "quant", "kv_cache", "threads"]),
    (&["data", "synth"], &[]),
    (&["data"], &[]),
    (&["train"], &["device", "threads"]),
    (&["doctor"], &["device", "threads"]),
    (&["completions"], &[]),
    (&["man"], &[]),
];

/// The command line with every option shown where it works.
pub fn command() -> clap::Command {
    let command = Cli::command();
    let globals = command
        .get_arguments()
        .filter(|arg| ALL.iter().any(|option| arg.get_id() == option));
    let globals: Vec<clap::Arg> = globals.cloned().collect();
    FEWER.iter().fold(command, |command, (path, takes)| {
        // An option of all commands that a command has itself is not handed down to it.
        let own = |command: clap::Command| {
            let own = globals.iter().map(|arg| {
                let takes = takes.iter().any(|option| arg.get_id() == option);
                arg.clone().hide(!takes)
            });
            command.args(own)
        };
        match **path {
            [first] => command.mut_subcommand(first, own),
            [first, second] => command.mut_subcommand(first, |outer| outer.mut_subcommand(second, own)),
            _ => command,
        }
    })
}

/// Fails where an option was given that the command has no use for.
///
/// # Errors
/// Wrong usage.
pub fn check(matches: &ArgMatches) -> Result<(), Failure> {
    let (mut path, mut inner) = (Vec::new(), matches);
    while let Some((name, next)) = inner.subcommand() {
        path.push(name);
        inner = next;
    }
    let Some((_, takes)) = FEWER.iter().find(|(fewer, _)| *fewer == path) else {
        return Ok(());
    };
    let given = |option: &str| inner.value_source(option) == Some(ValueSource::CommandLine);
    let mut idle = ALL.iter().filter(|option| !takes.contains(option));
    let idle = idle.find(|option| given(option));
    idle.map_or(Ok(()), |option| {
        let (flag, command) = (option.replace('_', "-"), path.join(" "));
        Err(Failure::usage(format!("`{command}` has no use for --{flag}"))
            .hint(format!("leave out --{flag}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(line: &str) -> Result<(), Failure> {
        let matches = command()
            .try_get_matches_from(line.split(' '))
            .expect("it is spelt right");
        check(&matches)
    }

    #[test]
    fn options_without_use_are_refused_wherever_they_stand() {
        for line in [
            "ocellus models list --quant q4",
            "ocellus --device cuda:0 models list",
            "ocellus models --threads 2 families",
            "ocellus completions bash --dtype bf16",
            "ocellus train a.toml -o b --quant q4",
            "ocellus verify a --device cpu",
            "ocellus data synth -o a --fonts b --corpus c --kv-cache q8",
            "ocellus doctor --base a",
            "ocellus models merge a -o b --quant q4",
        ] {
            let failure = outcome(line).expect_err(line);
            assert_eq!(failure.code(), 2, "{line}");
        }
        for line in [
            "ocellus ask hi --quant q4 --threads 2",
            "ocellus --threads 2 ocr a.png",
            "ocellus models plan nano --quant q4 --kv-cache q8",
            "ocellus models quantize a -o b --quant q4",
            "ocellus -q models list --log-level debug",
            "ocellus verify a --quant q8",
            "ocellus models merge a -o b --base c",
            "ocellus ask hi -m a --base b",
        ] {
            assert!(outcome(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn help_shows_what_works() {
        let mut command = command();
        command.build();
        let mut help = |path: &[&str]| {
            let mut inner = &mut command;
            for name in path {
                inner = inner.find_subcommand_mut(name).expect("a command");
            }
            inner.render_long_help().to_string()
        };
        assert!(help(&["ask"]).contains("--kv-cache") && help(&["models", "plan"]).contains("--quant"));
        for path in [&["models", "list"][..], &["completions"], &["data", "synth"]] {
            let help = help(path);
            assert!(
                help.contains("--quiet") && !help.contains("--quant") && !help.contains("--threads"),
                "{help}"
            );
        }
    }
}
