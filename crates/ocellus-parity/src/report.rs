//! Reports as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::case_report::CaseReport;
use crate::compare::Row;

/// A block a case, a row a tensor; the first wrong stage is marked, and a line at the end sums up.
pub fn text(reports: &[CaseReport]) -> String {
    let mut out = String::new();
    for report in reports {
        let verdict = if report.pass() { "pass" } else { "FAIL" };
        let _ = writeln!(out, "{}  {verdict}", report.case);
        let first = report.first_wrong().map(|row| row.name.as_str());
        let cells: Vec<[String; 5]> = report.rows.iter().map(|row| cells(row, first)).collect();
        for row in &cells {
            let width = |column: usize| cells.iter().map(|c| c[column].chars().count()).max().unwrap_or(0);
            let [name, shape, max_abs, cosine, verdict] = row;
            let (a, b, c, d) = (width(0), width(1), width(2), width(3));
            let _ = writeln!(
                out,
                "  {name:a$}  {shape:b$}  {max_abs:>c$}  {cosine:>d$}  {verdict}"
            );
        }
        if let Some(trouble) = &report.trouble {
            let _ = writeln!(out, "  {trouble}");
        }
    }
    let passed = reports.iter().filter(|r| r.pass()).count();
    let _ = writeln!(out, "{passed} of {} cases pass", reports.len());
    out
}

fn cells(row: &Row, first: Option<&str>) -> [String; 5] {
    let verdict = match (row.pass, &row.note) {
        (true, _) => "pass".to_owned(),
        (false, note) => {
            let mark = if first == Some(row.name.as_str()) {
                "FAIL <- first wrong stage"
            } else {
                "FAIL"
            };
            note.as_ref()
                .map_or_else(|| mark.to_owned(), |note| format!("{mark}: {note}"))
        }
    };
    let sides: Vec<String> = row.shape.iter().map(usize::to_string).collect();
    [
        row.name.clone(),
        format!("[{}]", sides.join(", ")),
        row.max_abs.map_or_else(
            || "-".to_owned(),
            |v| {
                if v == 0.0 {
                    "0".to_owned()
                } else {
                    format!("{v:.2e}")
                }
            },
        ),
        row.cosine.map_or_else(|| "-".to_owned(), |v| format!("{v:.6}")),
        verdict,
    ]
}

/// `{"cases": [{"case", "family", "pass", "tensors": [{"name", "shape", "max_abs", "cosine", "pass"}]}]}`; numbers that JSON
/// does not have, and those of tensors that were not produced, are null. A failing row has a `note`, a case that could
/// not be run to its end an `error`.
pub fn json(reports: &[CaseReport]) -> Value {
    let row = |row: &Row| {
        let mut value = json!({
            "name": row.name,
            "shape": row.shape,
            "max_abs": row.max_abs,
            "cosine": row.cosine,
            "pass": row.pass,
        });
        if let Some(note) = &row.note {
            value["note"] = json!(note);
        }
        value
    };
    let case = |report: &CaseReport| {
        let mut value = json!({
            "case": report.case,
            "family": report.family,
            "pass": report.pass(),
            "tensors": report.rows.iter().map(row).collect::<Vec<_>>(),
        });
        if let Some(first) = report.first_wrong() {
            value["first_wrong"] = json!(first.name);
        }
        if let Some(trouble) = &report.trouble {
            value["error"] = json!(trouble);
        }
        value
    };
    json!({ "cases": reports.iter().map(case).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, pass: bool) -> Row {
        let note = (!pass).then(|| "1 of 1 out of tolerance".to_owned());
        Row {
            name: name.to_owned(),
            shape: vec![1, 2],
            max_abs: Some(0.25),
            cosine: Some(1.0),
            pass,
            note,
        }
    }

    fn report(rows: Vec<Row>, trouble: Option<&str>) -> CaseReport {
        CaseReport {
            case: "c".to_owned(),
            family: "f".to_owned(),
            rows,
            warnings: Vec::new(),
            trouble: trouble.map(str::to_owned),
        }
    }

    #[test]
    fn the_first_wrong_stage_is_marked_once() {
        let reports = [
            report(vec![row("a", true), row("b", false), row("c", false)], None),
            report(vec![], None),
        ];
        let text = text(&reports);
        assert_eq!(text.matches("first wrong stage").count(), 1);
        let marked = text.lines().find(|l| l.contains("first wrong stage"));
        assert!(marked.is_some_and(|l| l.trim_start().starts_with("b ")), "{text}");
        assert!(text.ends_with("1 of 2 cases pass\n"), "{text}");
    }

    #[test]
    fn json_has_the_promised_fields() {
        let value = json(&[report(vec![row("a", false)], Some("no room"))]);
        let case = &value["cases"][0];
        assert_eq!(
            (case["case"].as_str(), case["family"].as_str()),
            (Some("c"), Some("f"))
        );
        assert_eq!(
            (case["pass"].as_bool(), case["error"].as_str()),
            (Some(false), Some("no room"))
        );
        let tensor = &case["tensors"][0];
        assert_eq!(
            (tensor["name"].as_str(), tensor["pass"].as_bool()),
            (Some("a"), Some(false))
        );
        assert_eq!(
            (tensor["max_abs"].as_f64(), tensor["cosine"].as_f64()),
            (Some(0.25), Some(1.0))
        );
    }

    #[test]
    fn trouble_alone_fails_a_case() {
        assert!(report(vec![row("a", true)], None).pass());
        assert!(!report(vec![row("a", true)], Some("x")).pass());
    }
}
