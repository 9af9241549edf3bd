//! `ocellus models show`: what a model consists of, from its configuration and the headers of its weights.

use std::collections::BTreeMap;
use std::path::Path;

use ocellus_base::limits::JSON_BYTES;
use ocellus_hub::{BUILT_IN, Checkpoint, Hub, HubConfig, HubError, Location, Reference, Silent, built_in};
use ocellus_models::CONFIG_FILES;
use ocellus_models::families::parse;
use ocellus_nn::stored::{CALIBRATED, described};
use ocellus_session::{Adapter, CheckpointFiles};
use ocellus_weights::Weights;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Failure;
use crate::output::{self, count, size};
use crate::values::Format;

/// What is shown of a model.
struct Card {
    name: String,
    location: String,
    commit: Option<String>,
    config: Value,
    /// Name and size in bytes.
    files: Vec<(String, u64)>,
    /// By the first part of the tensors' names.
    parameters: BTreeMap<String, u64>,
    /// Tensors and parameters of each element type.
    dtypes: BTreeMap<String, (u64, u64)>,
    /// Rows on which the importance of quantised weights was measured.
    calibrated: Option<u64>,
    adapter: Option<Adapter>,
}

/// Prints the card of a model on this machine; downloads nothing.
pub fn run(context: &Context, name: &str, format: Format) -> Result<(), Failure> {
    let card = card(context, &Reference::parse(name)?)?;
    match format {
        Format::Text => output::write(&output::table(&rows(&card))),
        Format::Json => output::json(&as_json(&card)),
    }
}

fn card(context: &Context, reference: &Reference) -> Result<Card, Failure> {
    let hub = Hub::new(HubConfig {
        offline: true,
        base: context.base()?,
        ..context.hub_config()
    });
    let checkpoint = hub.resolve(reference, &Silent).map_err(|error| match error {
        HubError::Offline { what, missing } => Failure::new(format!(
            "{what} is not on this machine; missing: {}",
            missing.join(", ")
        ))
        .hint(format!("`ocellus models pull {what}` downloads it")),
        other => other.into(),
    })?;
    let mut card = of_base(&checkpoint)?;
    if checkpoint.adapter.is_some() {
        let adapter = CheckpointFiles::open(&checkpoint)?.adapter;
        context.warn(adapter.as_ref().map_or(&[], |adapter| &adapter.warnings))?;
        card.adapter = adapter;
    }
    Ok(card)
}

fn of_base(checkpoint: &Checkpoint) -> Result<Card, Failure> {
    match &checkpoint.location {
        Location::BuiltIn => built_in(),
        Location::Folder(folder) => {
            // What cannot be run is shown as it is stored.
            let weights = ocellus_session::checkpoint::weights(folder, None).map(|(weights, _)| weights);
            let weights = weights.or_else(|_| Weights::open(folder))?;
            let mut card = summarise(&checkpoint.name, &weights, config(folder)?);
            card.location = folder.display().to_string();
            card.commit = checkpoint.commit.clone();
            card.files = files(folder)?;
            Ok(card)
        }
        Location::Gguf(paths) => {
            let made = ocellus_session::checkpoint::open_gguf(paths)?;
            let mut card = summarise(&checkpoint.name, &made.weights, parse(&made.config)?.into());
            card.location = paths.language[0].display().to_string();
            for path in paths.language.iter().chain([&paths.tower]) {
                let size = std::fs::metadata(path)
                    .map_err(|e| Failure::io("read", path, &e))?
                    .len();
                let name = path.file_name().unwrap_or_default();
                card.files.push((name.to_string_lossy().into_owned(), size));
            }
            Ok(card)
        }
    }
}

fn built_in() -> Result<Card, Failure> {
    let incomplete = || {
        Failure::new("this build of ocellus has no built-in model")
            .hint("build from a complete source tree, or name a model: org/name")
    };
    let config = built_in::file("config.json").ok_or_else(incomplete)?;
    let config =
        serde_json::from_slice(config).map_err(|error| Failure::new(format!("config.json: {error}")))?;
    let weights = Weights::from_static(built_in::file("model.safetensors").ok_or_else(incomplete)?)?;
    let mut card = summarise(BUILT_IN, &weights, config);
    card.location = format!("built in, sha256 {}", built_in::sha256());
    card.files = built_in::FILES
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), bytes.len() as u64))
        .collect();
    Ok(card)
}

/// Reads headers only: the tensors stay on the disk.
fn summarise(name: &str, weights: &Weights, config: Value) -> Card {
    let mut parameters = BTreeMap::new();
    let mut dtypes = BTreeMap::new();
    // Bytes of quantised matrices hold other numbers of weights than there are bytes.
    let quantised = |name: &str| {
        let elements = || {
            weights
                .shape(name)
                .map(|shape| shape.iter().product::<usize>() as u64)
        };
        weights.layout(name).map(str::to_owned).zip(elements())
    };
    let packed = |name: &str| {
        let described = described(weights, name);
        described.map(|(bits, [rows, columns])| (format!("q{bits}"), rows as u64 * columns as u64))
    };
    let plain = |name: &str| {
        let view = weights.view(name).ok()?;
        Some((view.dtype.name().to_owned(), view.elements() as u64))
    };
    for name in weights.names() {
        let Some((dtype, elements)) = quantised(name).or_else(|| packed(name)).or_else(|| plain(name)) else {
            continue;
        };
        *parameters.entry(part(name)).or_insert(0) += elements;
        let (tensors, total) = dtypes.entry(dtype).or_insert((0, 0));
        *tensors += 1;
        *total += elements;
    }
    let name = name.to_owned();
    Card {
        name,
        location: String::new(),
        commit: None,
        config,
        files: Vec::new(),
        parameters,
        dtypes,
        calibrated: weights
            .metadata()
            .get(CALIBRATED)
            .and_then(|rows| rows.parse().ok()),
        adapter: None,
    }
}

/// The first part of a tensor's name; below a wrapper called `model`, the first two.
fn part(tensor: &str) -> String {
    let mut parts = tensor.split('.');
    match (parts.next(), parts.next()) {
        (Some("model"), Some(second)) => format!("model.{second}"),
        (Some(first), _) => first.to_owned(),
        (None, _) => String::new(),
    }
}

fn config(folder: &Path) -> Result<Value, Failure> {
    let mut paths = CONFIG_FILES.iter().map(|name| folder.join(name));
    let path = paths.find(|path| path.is_file());
    let path = path.unwrap_or_else(|| folder.join(CONFIG_FILES[0]));
    let bytes = ocellus_base::files::read(&path, JSON_BYTES);
    let bytes = bytes.map_err(|error| Failure::io("read", &path, &error))?;
    let damaged = |error: &dyn std::fmt::Display, form: &str| {
        Failure::new(format!("{}: expected {form}, found: {error}", path.display()))
            .hint("the file was changed or cut off; get it again from where the model came from")
    };
    match path.extension().is_some_and(|e| e == "yaml") {
        true => (parse(&String::from_utf8_lossy(&bytes)).map(Value::from))
            .map_err(|error| damaged(&error, "YAML")),
        false => serde_json::from_slice(&bytes).map_err(|error| damaged(&error, "JSON")),
    }
}

fn files(folder: &Path) -> Result<Vec<(String, u64)>, Failure> {
    let list = || -> std::io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            // The files of a cache are links: what counts is what they lead to.
            if let Ok(metadata) = std::fs::metadata(entry.path())
                && metadata.is_file()
            {
                files.push((entry.file_name().to_string_lossy().into_owned(), metadata.len()));
            }
        }
        files.sort();
        Ok(files)
    };
    list().map_err(|error| Failure::io("list the folder", folder, &error))
}

/// Label, and the names that configurations use for it.
const FACTS: &[(&str, &[&str])] = &[
    ("layers", &["num_hidden_layers", "n_layers", "n_layer", "depth"]),
    ("width", &["hidden_size", "dim", "embed_dim", "width"]),
    ("heads", &["num_attention_heads", "n_heads", "num_heads"]),
    ("key/value heads", &["num_key_value_heads", "n_kv_heads"]),
    ("vocabulary", &["vocab_size"]),
    ("patch", &["patch_size"]),
];

fn facts(config: &Value) -> String {
    let fact = |(label, names): &(&str, &[&str])| {
        let value = names
            .iter()
            .find_map(|name| config.get(name))
            .filter(|value| value.is_number())?;
        Some(format!("{label} {value}"))
    };
    FACTS.iter().filter_map(fact).collect::<Vec<_>>().join(", ")
}

fn architectures(config: &Value) -> Vec<&str> {
    let list = config.get("architectures").and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

fn rows(card: &Card) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |label: &str, text: String| {
        if !text.is_empty() {
            rows.push(vec![label.to_owned(), text]);
        }
    };
    row("name", card.name.clone());
    row("location", card.location.clone());
    row("commit", card.commit.clone().unwrap_or_default());
    row("adapter", card.adapter.as_ref().map(adapter).unwrap_or_default());
    row("architecture", architectures(&card.config).join(", "));
    row(
        "family",
        match ocellus_models::find(&card.config) {
            Ok(family) => family.id.to_owned(),
            Err(_) => "none that this version runs".to_owned(),
        },
    );
    row(
        "text",
        facts(card.config.get("text_config").unwrap_or(&card.config)),
    );
    let vision = card
        .config
        .get("vision_config")
        .or_else(|| card.config.get("vision_encoder"));
    row("vision", vision.map(facts).unwrap_or_default());
    let total: u64 = card.parameters.values().sum();
    row("parameters", format!("{} ({total})", count(total)));
    for (part, number) in &card.parameters {
        row(&format!("  {part}"), count(*number));
    }
    for (dtype, (tensors, number)) in &card.dtypes {
        row(
            "stored as",
            format!("{dtype}: {tensors} tensors, {}", count(*number)),
        );
    }
    row(
        "calibrated",
        card.calibrated
            .map(|rows| format!("on {rows} rows"))
            .unwrap_or_default(),
    );
    for (index, (name, bytes)) in card.files.iter().enumerate() {
        row(
            if index == 0 { "files" } else { " " },
            format!("{name}, {}", size(*bytes)),
        );
    }
    rows
}

/// Where an adapter is and what it changes.
fn adapter(adapter: &Adapter) -> String {
    let ranks = match adapter.ranks {
        None => String::new(),
        Some((least, most)) if least == most => format!(" by products of rank {least}"),
        Some((least, most)) => format!(" by products of ranks {least} to {most}"),
    };
    let replaced = match adapter.replaced {
        0 => String::new(),
        count => format!(", {count} tensors replaced"),
    };
    let place = adapter.folder.display();
    format!(
        "{place}: LoRA, {} matrices changed{ranks}{replaced}",
        adapter.matrices
    )
}

fn as_json(card: &Card) -> Value {
    let adapter = card.adapter.as_ref().map(|adapter| {
        json!({
            "location": adapter.folder.display().to_string(), "kind": "LORA", "matrices": adapter.matrices,
            "replaced": adapter.replaced, "ranks": adapter.ranks.map(|(least, most)| [least, most]),
            "warnings": adapter.warnings,
        })
    });
    let files: Vec<_> = card
        .files
        .iter()
        .map(|(name, bytes)| json!({"name": name, "bytes": bytes}))
        .collect();
    let dtypes: BTreeMap<_, _> = card
        .dtypes
        .iter()
        .map(|(dtype, (tensors, number))| (dtype, json!({"tensors": tensors, "parameters": number})))
        .collect();
    json!({
        "name": card.name, "location": card.location, "commit": card.commit,
        "architectures": architectures(&card.config), "model_type": card.config.get("model_type"),
        "parameters": card.parameters.values().sum::<u64>(), "parts": card.parameters, "dtypes": dtypes,
        "calibrated_rows": card.calibrated, "adapter": adapter, "files": files, "config": card.config,
    })
}
