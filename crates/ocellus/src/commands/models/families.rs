//! `ocellus models families`: what can be run.

use ocellus_models::{FAMILIES, Family};
use serde_json::json;

use crate::error::Failure;
use crate::output;
use crate::values::Format;

pub fn run(format: Format) -> Result<(), Failure> {
    match format {
        Format::Text => {
            let head = ["family", "tasks", "architectures"].map(str::to_owned).to_vec();
            let rows = FAMILIES.iter().flat_map(rows);
            output::write(&output::table(
                &std::iter::once(head).chain(rows).collect::<Vec<_>>(),
            ))
        }
        Format::Json => {
            let family =
                |f: &Family| json!({ "id": f.id, "tasks": tasks(f), "architectures": f.architectures });
            output::json(&json!({ "families": FAMILIES.iter().map(family).collect::<Vec<_>>() }))
        }
    }
}

/// A row for each architecture, or the table would be wider than a terminal; family and tasks stand in the first.
fn rows(family: &Family) -> impl Iterator<Item = Vec<String>> {
    family.architectures.iter().enumerate().map(|(index, name)| {
        let first = |text: String| if index == 0 { text } else { String::new() };
        vec![
            first(family.id.to_owned()),
            first(tasks(family).join(", ")),
            (*name).to_owned(),
        ]
    })
}

fn tasks(family: &Family) -> Vec<&'static str> {
    family.tasks.iter().map(|t| t.as_str()).collect()
}
