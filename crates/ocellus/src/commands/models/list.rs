//! `ocellus models list`: the built-in model and what the caches hold.

use ocellus_hub::{BUILT_IN, Cached, Hub, HubConfig, Source, built_in};
use serde_json::json;

use crate::context::Context;
use crate::error::Failure;
use crate::output::{self, size};
use crate::values::Format;

/// Prints one row per model and revision.
pub fn run(context: &Context, format: Format) -> Result<(), Failure> {
    let mut cached = Vec::new();
    for source in [Source::HuggingFace, Source::ModelScope] {
        let config = HubConfig {
            endpoint: source.endpoint().into(),
            source,
            ..context.hub_config()
        };
        cached.extend(Hub::new(config).list()?);
    }
    match format {
        Format::Text => output::write(&output::table(&rows(&cached))),
        Format::Json => output::json(&as_json(&cached)),
    }
}

fn source_name(source: Source) -> &'static str {
    match source {
        Source::HuggingFace => "huggingface",
        Source::ModelScope => "modelscope",
    }
}

fn rows(cached: &[Cached]) -> Vec<Vec<String>> {
    let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![row(["NAME", "REVISION", "SIZE", "SOURCE", "STATE"])];
    let state = if built_in::is_complete() {
        "complete"
    } else {
        "not in this build"
    };
    rows.push(row([
        BUILT_IN,
        "-",
        &size(built_in::size_bytes()),
        "built in",
        state,
    ]));
    for model in cached {
        let (id, bytes) = (model.id.to_string(), size(model.size_bytes));
        let source = source_name(model.source);
        if model.snapshots.is_empty() {
            rows.push(row([&id, "-", &bytes, source, "not finished"]));
        }
        for snapshot in &model.snapshots {
            let names = snapshot.names.join(",");
            let short = &snapshot.commit[..8];
            let revision = if names.is_empty() {
                short.to_owned()
            } else {
                format!("{names} ({short})")
            };
            let state = match &snapshot.missing[..] {
                [] => "complete".to_owned(),
                [one] => format!("without {one}"),
                [first, rest @ ..] => format!("without {first} and {} more", rest.len()),
            };
            rows.push(row([&id, &revision, &bytes, source, &state]));
        }
    }
    rows
}

fn as_json(cached: &[Cached]) -> serde_json::Value {
    let mut models = vec![json!({
        "name": BUILT_IN, "source": "built-in", "bytes": built_in::size_bytes(), "incomplete_bytes": 0,
        "path": null, "revisions": [],
    })];
    models.extend(cached.iter().map(|model| {
        let revisions: Vec<_> = model
            .snapshots
            .iter()
            .map(|s| json!({"commit": s.commit, "names": s.names, "path": s.path, "missing": s.missing}))
            .collect();
        json!({
            "name": model.id.to_string(), "source": source_name(model.source), "bytes": model.size_bytes,
            "incomplete_bytes": model.incomplete_bytes, "path": model.path, "revisions": revisions,
        })
    }));
    json!({ "models": models })
}
