//! `cargo xtask bench peers`: our program and other programs that do the same work, measured in turn.
//!
//! Which programs take part is told by a list ([`list`]); each prints one line of JSON about one run. All run once a
//! round, so that a machine's slow minutes fall on everybody ([`rounds`]). After every round the folder of the run
//! is brought up to date: every value in `raw.csv`, tables in `README.md`, a picture in `bars.svg`.

mod bars;
mod list;
mod machine;
mod noise;
mod options;
mod page;
mod program;
mod quantity;
mod rounds;
mod rows;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use list::{List, Side};
use machine::Machine;
use options::Options;
use page::Setting;
use rows::{Row, Rows};
use summary::Summary;

/// Shown by `cargo xtask help`.
pub const HELP: &str = options::HELP;

/// Measures as `arguments` say.
pub fn peers(root: &Path, arguments: &[String]) -> ExitCode {
    match Options::parse(arguments).and_then(|options| run(root, &options)) {
        Ok(folder) => {
            println!("{}", folder.display());
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(root: &Path, options: &Options) -> Result<PathBuf, String> {
    let list = List::read(root, options)?;
    let machine = Machine::here();
    let folder = match &options.out {
        Some(folder) => folder.clone(),
        None => rounds::free_folder(
            &root.join("benches/runs"),
            &machine.dated(options.machine.as_deref()),
        ),
    };
    let ocellus = match &options.ocellus {
        Some(program) => program.clone(),
        None => program::build(root)?,
    };
    let places = list::Places::new(root, &ocellus, options);
    fs::create_dir_all(&folder).map_err(|e| format!("{}: cannot be made: {e}", folder.display()))?;
    let mut setting = Setting::new(root, &machine, options, &list);
    let mut rows = Rows::create(&folder.join("raw.csv"))?;
    for round in 1..=options.rounds {
        for side in rounds::order(&list.sides, round) {
            eprintln!("round {round} of {}: {}", options.rounds, side.label());
            match measure(side, &places, round, options.limit_s) {
                Ok((found, version)) => {
                    setting.program(side, version);
                    rows.append(found)?;
                }
                Err(message) => {
                    eprintln!("    failed: {message}");
                    setting.failure(side, round, &message);
                }
            }
        }
        write(&folder, &setting, &Summary::of(&list.sides, rows.all()))?;
    }
    Ok(folder)
}

/// One run of one program: a row for every quantity that it told, and its version.
fn measure(
    side: &Side,
    places: &list::Places,
    round: u32,
    limit_s: u64,
) -> Result<(Vec<Row>, Option<String>), String> {
    program::warm(&places.files(side))?;
    let before = noise::Reading::now();
    let told = program::run(&places.command(side), &places.environment(side), limit_s)?;
    let noise = before
        .zip(noise::Reading::now())
        .and_then(|(before, after)| before.until(&after));
    let found = rows::of(side, round, &told, noise);
    if found.is_empty() {
        return Err("printed none of the quantities that are compared".into());
    }
    for row in &found {
        eprintln!("    {} {}", row.quantity.key, rows::number(row.value));
    }
    Ok((
        found,
        told.get("version").and_then(|v| v.as_str()).map(str::to_owned),
    ))
}

fn write(folder: &Path, setting: &Setting, summary: &Summary) -> Result<(), String> {
    for (name, text) in [
        ("README.md", page::markdown(setting, summary)),
        ("bars.svg", bars::svg(&summary.panels())),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|e| format!("{}: cannot be written: {e}", path.display()))?;
    }
    Ok(())
}
