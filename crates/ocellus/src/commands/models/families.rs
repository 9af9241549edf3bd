//! `ocellus models families`: what can be run.

use ocellus_models::FAMILIES;
use serde_json::json;

use crate::error::Failure;
use crate::output;
use crate::values::Format;

pub fn run(format: Format) -> Result<(), Failure> {
    match format {
        Format::Text => {
            let head = ["family", "tasks", "architectures"].map(str::to_owned).to_vec();
            let rows = FAMILIES
                .iter()
                .map(|f| vec![f.id.to_owned(), tasks(f).join(", "), f.architectures.join(", ")]);
            output::write(&output::table(
                &std::iter::once(head).chain(rows).collect::<Vec<_>>(),
            ))
        }
        Format::Json => {
            let family = |f: &ocellus_models::Family| json!({ "id": f.id, "tasks": tasks(f), "architectures": f.architectures });
            output::json(&json!({ "families": FAMILIES.iter().map(family).collect::<Vec<_>>() }))
        }
    }
}

fn tasks(family: &ocellus_models::Family) -> Vec<&'static str> {
    family.tasks.iter().map(|t| t.as_str()).collect()
}
