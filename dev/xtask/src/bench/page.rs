//! `README.md` of a run: where, what, ratios, medians, programs.

use std::fmt::Write;
use std::path::Path;

use super::list::{List, Side};
use super::machine::{self, Machine};
use super::options::Options;
use super::quantity::{self, Quantity};
use super::rows::number;
use super::summary::{Ratio, Summary};

/// What the numbers do not tell.
#[derive(Debug, Clone)]
pub struct Setting {
    machine: Machine,
    /// Of the weights.
    about: String,
    commit: Option<String>,
    /// Whether our program was built from that commit, or handed over.
    built: bool,
    image: String,
    tokens: u32,
    threads: usize,
    rounds: u32,
    /// Programs that ran, with their versions, as they first did.
    programs: Vec<(Side, Option<String>)>,
    failures: Vec<String>,
    expected: usize,
}

impl Setting {
    pub fn new(root: &Path, machine: &Machine, options: &Options, list: &List) -> Self {
        Self {
            machine: machine.clone(),
            about: list.about.clone(),
            commit: machine::commit(root),
            built: options.ocellus.is_none(),
            image: options.image.clone(),
            tokens: options.tokens,
            threads: options.threads,
            rounds: options.rounds,
            programs: Vec::new(),
            failures: Vec::new(),
            expected: list.sides.len(),
        }
    }

    pub fn program(&mut self, side: &Side, version: Option<String>) {
        if !self.programs.iter().any(|(known, _)| known == side) {
            self.programs.push((side.clone(), version));
        }
    }

    pub fn failure(&mut self, side: &Side, round: u32, message: &str) {
        self.failures
            .push(format!("round {round}, {}: {message}", side.label()));
    }
}

/// The whole page.
pub fn markdown(setting: &Setting, summary: &Summary) -> String {
    let mut page = head(setting, summary);
    for ours in summary.ours() {
        page += &ratios(summary, ours);
    }
    page += &medians(summary);
    page += &programs(setting);
    page
}

fn head(setting: &Setting, summary: &Summary) -> String {
    let machine = &setting.machine;
    let memory = machine
        .memory_gib
        .map_or_else(String::new, |gib| format!(", {gib} GiB of memory"));
    let commit = setting.commit.as_deref().unwrap_or("unknown");
    let program = match setting.built {
        true => format!("commit {commit}"),
        false => format!("a program that was handed over, measured from commit {commit}"),
    };
    let noise = match summary.noise() {
        Some([others, stolen]) => format!(
            "other processes used {:.1} % of the cores (median of the runs; at most {:.1} %), the host took {:.1} % (at \
             most {:.1} %)",
            others.0, others.1, stolen.0, stolen.1
        ),
        None => "not known on this system".into(),
    };
    format!(
        "# Ocellus beside other programs, {}

- machine: {}, {} cores ({}){memory}
- work: one picture of {} pixels, 32 tokens of text (some more where a program's template adds them), {} tokens generated
  greedily, one request at a time, {} threads. What each program's times hold stands in `tools/peers/README.md`
- weights: {}. Speed does not depend on their values
- rounds: {} of {}. In each every program ran once, in its own process, those with weights of the same width one after
  another, in turn forwards and backwards; its files were read into the system's cache before it started
- noise: {noise}
- ocellus: {program}
- `raw.csv` has every value, with the noise during its run

![speed beside the fastest other program of the same width](bars.svg)

## Ratios

How many times better ocellus is: above 1 it is faster, or smaller for memory. Median over the rounds of the ratio inside a
round, and in brackets the lowest and the highest.
",
        machine.date,
        machine.processor,
        machine.cores,
        machine.extensions.join(", "),
        setting.image,
        setting.tokens,
        setting.threads,
        setting.about,
        summary.rounds,
        setting.rounds,
    )
}

/// A table of one of our sides beside every peer, those of its own width first.
fn ratios(summary: &Summary, ours: &Side) -> String {
    let (same, other) = (summary.peers(ours, true), summary.peers(ours, false));
    if same.is_empty() && other.is_empty() {
        return String::new();
    }
    let label = |peer: &&Side| peer.label();
    let mut heads: Vec<String> = same.iter().map(label).collect();
    if same.len() > 1 {
        heads.push(format!("**best at {} bits**", ours.bits));
    }
    heads.extend(other.iter().map(label));
    let cells = |quantity: &Quantity| -> Vec<String> {
        let to = |peer: &&Side| ratio(summary.ratio(ours, peer, quantity));
        let mut cells: Vec<String> = same.iter().map(to).collect();
        if same.len() > 1 {
            cells.push(ratio(summary.ratio_to_best(ours, same.iter().copied(), quantity)));
        }
        cells.extend(other.iter().map(to));
        cells
    };
    format!("\n### {}\n\n{}", ours.label(), table(&heads, cells))
}

fn ratio(ratio: Option<Ratio>) -> String {
    ratio.map_or_else(String::new, |r| {
        format!("{:.2} ({:.2} to {:.2})", r.median, r.lowest, r.highest)
    })
}

fn medians(summary: &Summary) -> String {
    let heads: Vec<String> = summary.sides.iter().map(Side::label).collect();
    let cells = |quantity: &Quantity| -> Vec<String> {
        let of = |side| summary.median(side, quantity).map(number).unwrap_or_default();
        summary.sides.iter().map(of).collect()
    };
    format!("\n## Medians\n\n{}", table(&heads, cells))
}

/// A row for every quantity that somebody has a value for.
fn table(heads: &[String], cells: impl Fn(&Quantity) -> Vec<String>) -> String {
    let mut text = format!(
        "| | {} |\n|---|{}\n",
        heads.join(" | "),
        "---|".repeat(heads.len())
    );
    for quantity in &quantity::ALL {
        let cells = cells(quantity);
        if cells.iter().any(|cell| !cell.is_empty()) {
            let (name, unit) = (quantity.name, quantity.unit);
            writeln!(text, "| {name}, {unit} | {} |", cells.join(" | ")).expect("a String takes everything");
        }
    }
    text
}

fn programs(setting: &Setting) -> String {
    let mut text = String::from("\n## Programs\n\n");
    for (side, version) in &setting.programs {
        let version = version.as_deref().map_or_else(String::new, |v| format!(" ({v})"));
        let (label, command) = (side.label(), side.command.join(" "));
        writeln!(text, "- {label}{version}: `{command}`").expect("a String takes everything");
    }
    let missing = setting.expected.saturating_sub(setting.programs.len());
    if missing > 0 {
        writeln!(text, "\n{missing} of {} gave no value.", setting.expected)
            .expect("a String takes everything");
    }
    if !setting.failures.is_empty() {
        text += "\n## What failed\n\n";
        for failure in &setting.failures {
            writeln!(text, "- {failure}").expect("a String takes everything");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::example;
    use super::*;

    fn setting(sides: &[Side]) -> Setting {
        let mut setting = Setting {
            machine: Machine {
                processor: "Processor 1".into(),
                extensions: vec!["avx2".into(), "avx512_vnni".into()],
                cores: 2,
                memory_gib: Some(23),
                date: "2026-11-24".into(),
            },
            about: "random numbers in the shape of a published model".into(),
            commit: Some("abc1234".into()),
            built: true,
            image: "1092x784".into(),
            tokens: 64,
            threads: 2,
            rounds: 3,
            programs: Vec::new(),
            failures: Vec::new(),
            expected: 5,
        };
        for side in [&sides[0], &sides[1], &sides[0]] {
            setting.program(side, (side.is_ours()).then(|| "0.1.0".into()));
        }
        setting.failure(&sides[1], 3, "`run` ended with exit status: 1");
        setting
    }

    #[test]
    fn the_page_is_the_golden_one() {
        let (sides, summary) = example();
        let found = markdown(&setting(&sides), &summary);
        assert_eq!(found, include_str!("golden/README.md"), "written:\n{found}");
    }

    #[test]
    fn a_run_without_ours_has_no_ratios() {
        let (sides, mut summary) = example();
        summary.sides.retain(|side| !side.is_ours());
        let found = markdown(&setting(&sides), &summary);
        assert!(
            !found.contains("### ") && found.contains("| vision tower, s | 20.00 |"),
            "{found}"
        );
    }
}
