//! What came of files of records, as lines for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::run::{OracleReport, Outcome};

/// A block a file, a row a program; under a program whose answers differ stands the first that does.
pub fn text(reports: &[OracleReport]) -> String {
    let mut out = String::new();
    for report in reports {
        let verdict = match &report.outcome {
            Outcome::Equal => "equal",
            Outcome::Differs => "DIFFERS",
            Outcome::UnknownKind(_) => "UNKNOWN KIND",
            Outcome::Unreadable(_) => "UNREADABLE",
        };
        let _ = writeln!(
            out,
            "{}  {} cases  {verdict}",
            report.file.display(),
            report.cases
        );
        if let Outcome::UnknownKind(reason) | Outcome::Unreadable(reason) = &report.outcome {
            let _ = writeln!(out, "  {reason}");
        }
        let width = report
            .programs
            .iter()
            .map(|p| p.name.chars().count())
            .max()
            .unwrap_or(0);
        for program in &report.programs {
            let said = match program.followed {
                true => format!("{} of {} equal", program.equal, program.answers),
                false => "not followed".to_owned(),
            };
            let _ = writeln!(out, "  {:width$}  {said}", program.name);
            if let Some(first) = &program.first {
                let _ = writeln!(out, "    first that differs: {}", first.id);
                for (name, value) in [
                    ("in", &first.input),
                    ("expected", &first.expected),
                    ("found", &first.found),
                ] {
                    let _ = writeln!(out, "      {name:8}  {value}");
                }
            }
        }
    }
    out
}

/// `{"files": [{"file", "cases", "outcome", "programs": [{"program", "followed", "answers", "equal", "first"}]}]}`.
pub fn json(reports: &[OracleReport]) -> Value {
    let file = |report: &OracleReport| {
        let (outcome, reason) = match &report.outcome {
            Outcome::Equal => ("equal", None),
            Outcome::Differs => ("differs", None),
            Outcome::UnknownKind(reason) => ("unknown_kind", Some(reason)),
            Outcome::Unreadable(reason) => ("unreadable", Some(reason)),
        };
        let programs = report.programs.iter().map(|program| {
            let first = program.first.as_ref();
            json!({
                "program": program.name,
                "followed": program.followed,
                "answers": program.answers,
                "equal": program.equal,
                "first": first.map(|f| json!({"id": f.id, "in": f.input, "expected": f.expected, "found": f.found})),
            })
        });
        let mut value = json!({
            "file": report.file.display().to_string(),
            "cases": report.cases,
            "outcome": outcome,
            "programs": programs.collect::<Vec<_>>(),
        });
        if let Some(reason) = reason {
            value["error"] = json!(reason);
        }
        value
    };
    json!({ "files": reports.iter().map(file).collect::<Vec<_>>() })
}
