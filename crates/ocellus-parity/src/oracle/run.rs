//! Files of records, answered and compared line by line.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use ocellus_base::limits::JSON_BYTES;
use serde_json::Value;

use super::kinds::{self, Kind};
use super::record::{Record, agree};

/// What came of one file.
#[derive(Debug)]
pub struct OracleReport {
    pub file: PathBuf,
    pub cases: usize,
    /// A row for every program that the records name, in the order of their first answers.
    pub programs: Vec<Program>,
    pub outcome: Outcome,
}

/// Whether a file could be answered, and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All answers of the followed programs are equal.
    Equal,
    /// At least one differs.
    Differs,
    /// The name of the file says a kind that cannot be answered. The sentence names those that can.
    UnknownKind(String),
    /// The file could not be read to its end.
    Unreadable(String),
}

/// How the answers compare with those of one program.
#[derive(Debug)]
pub struct Program {
    pub name: String,
    /// Whether this program means to answer as it does.
    pub followed: bool,
    pub answers: usize,
    pub equal: usize,
    pub first: Option<Difference>,
}

/// The first answer that differs.
#[derive(Debug)]
pub struct Difference {
    pub id: String,
    pub input: Value,
    pub expected: Value,
    pub found: Value,
}

/// The files of records that a path means: itself, or all `.jsonl` files below a folder, sorted.
pub fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            // Links are not followed, so that a circle of them ends.
            match entry.file_type()? {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() && entry.path().extension().is_some_and(|e| e == "jsonl") => {
                    found.push(entry.path());
                }
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Answers every record of a file and compares.
pub fn check(file: &Path) -> OracleReport {
    let mut report = OracleReport {
        file: file.to_owned(),
        cases: 0,
        programs: Vec::new(),
        outcome: Outcome::Equal,
    };
    let stem = file
        .file_stem()
        .map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let Some(kind) = kinds::of(&stem) else {
        report.outcome = Outcome::UnknownKind(format!(
            "no kind of records is called `{stem}`; this program answers {}",
            kinds::names()
        ));
        return report;
    };
    if let Err(reason) = answer_all(file, kind, &mut report) {
        report.outcome = Outcome::Unreadable(reason);
    } else if report.programs.iter().any(|p| p.followed && p.equal < p.answers) {
        report.outcome = Outcome::Differs;
    } else if !report.programs.iter().any(|p| p.followed) {
        report.outcome = Outcome::Unreadable("it has no answer of a program that is followed".to_owned());
    }
    report
}

fn answer_all(file: &Path, kind: &Kind, report: &mut OracleReport) -> Result<(), String> {
    let mut lines = BufReader::new(ocellus_base::files::open(file).map_err(|e| e.to_string())?);
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        let read = lines.by_ref().take(JSON_BYTES).read_line(&mut line);
        match read.map_err(|e| format!("line {number}: {e}"))? {
            0 => break,
            read if read as u64 == JSON_BYTES => {
                return Err(format!("line {number}: expected fewer than {JSON_BYTES} bytes"));
            }
            _ if line.trim().is_empty() => continue,
            _ => {}
        }
        let record: Record = serde_json::from_str(&line).map_err(|e| format!("line {number}: {e}"))?;
        answer(&record, kind, &mut report.programs).map_err(|e| format!("{}: {e}", record.id))?;
        report.cases += 1;
    }
    Ok(())
}

fn answer(record: &Record, kind: &Kind, programs: &mut Vec<Program>) -> Result<(), String> {
    for (name, expected) in &record.answers {
        let answer = (kind.answer)(name, &record.input).transpose()?;
        let at = programs.iter().position(|p| p.name == *name).unwrap_or_else(|| {
            programs.push(Program {
                name: name.clone(),
                followed: answer.is_some(),
                answers: 0,
                equal: 0,
                first: None,
            });
            programs.len() - 1
        });
        let program = &mut programs[at];
        program.answers += 1;
        match answer {
            Some(found) if agree(expected, &found) => program.equal += 1,
            Some(found) if program.first.is_none() => {
                program.first = Some(Difference {
                    id: record.id.clone(),
                    input: record.input.clone(),
                    expected: expected.clone(),
                    found,
                });
            }
            _ => {}
        }
    }
    Ok(())
}
