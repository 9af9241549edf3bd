//! `ocellus doctor`: what this machine offers and whether anything is wrong.

use std::path::Path;

use ocellus_hub::{Hub, Source, built_in};
use ocellus_kernels::isa::Isa;
use serde_json::json;

use super::machine;
use crate::args::Doctor;
use crate::context::Context;
use crate::error::Failure;
use crate::memory;
use crate::output::{self, size};
use crate::values::Format;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// Something is absent that some commands could use.
    Note,
    /// Something will fail.
    Bad,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Bad => "FAIL",
        }
    }
}

struct Finding {
    subject: &'static str,
    state: State,
    text: String,
}

fn finding(subject: &'static str, state: State, text: impl Into<String>) -> Finding {
    Finding {
        subject,
        state,
        text: text.into(),
    }
}

/// Prints the findings; exit code 1 when something will fail.
pub fn run(context: &Context, args: Doctor) -> Result<(), Failure> {
    let mut findings = machine(context);
    findings.extend(cache(&context.environment.cache_dir));
    findings.extend(hub(context, args.online));
    findings.push(match machine::version_of("ffmpeg") {
        Some(version) => finding("ffmpeg", State::Good, version),
        None => finding("ffmpeg", State::Note, "not found; only video will need it"),
    });
    findings.push(if built_in::is_complete() {
        let text = format!(
            "nano, {}, sha256 of its weights {}",
            size(built_in::size_bytes()),
            built_in::sha256()
        );
        finding("built-in model", State::Good, text)
    } else {
        finding("built-in model", State::Bad, "this build carries none")
    });
    match args.format {
        Format::Text => {
            let rows: Vec<Vec<String>> = findings
                .iter()
                .map(|f| vec![f.state.name().to_owned(), f.subject.to_owned(), f.text.clone()])
                .collect();
            output::write(&output::table(&rows))?;
        }
        Format::Json => {
            let list: Vec<_> = findings
                .iter()
                .map(|f| json!({"subject": f.subject, "state": f.state.name(), "text": f.text}))
                .collect();
            output::json(&json!({"version": env!("CARGO_PKG_VERSION"), "findings": list}))?;
        }
    }
    let bad: Vec<&str> = findings
        .iter()
        .filter(|f| f.state == State::Bad)
        .map(|f| f.subject)
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(
        Failure::new(format!("something is wrong with: {}", bad.join(", ")))
            .hint("the lines marked FAIL say what was found"),
    )
}

fn machine(context: &Context) -> Vec<Finding> {
    let memory = memory::memory();
    let features = machine::cpu_features();
    let vector = |name: &str| features.contains(&name);
    let fast = vector("avx2") && vector("fma") || vector("neon");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    vec![
        finding(
            "ocellus",
            State::Good,
            format!("{} for {os} on {arch}", env!("CARGO_PKG_VERSION")),
        ),
        finding(
            "processor",
            if fast { State::Good } else { State::Note },
            if features.is_empty() {
                "no vector extensions known".to_owned()
            } else {
                features.join(" ")
            },
        ),
        finding("kernels", State::Good, Isa::detect().level().name()),
        finding("devices", State::Good, devices()),
        finding(
            "threads",
            State::Good,
            format!("{} of {cores} processors", context.threads()),
        ),
        finding(
            "memory",
            State::Good,
            format!(
                "{} free of {}",
                size(memory.available_bytes),
                size(memory.total_bytes)
            ),
        ),
    ]
}

/// What this build can compute on.
fn devices() -> String {
    let others = [
        ("cuda", cfg!(feature = "cuda")),
        ("metal", cfg!(feature = "metal")),
    ];
    let others = others.map(|(name, there)| match there {
        true => name.to_owned(),
        false => format!("not built with {name}"),
    });
    format!("cpu, {}", others.join(", "))
}

fn cache(folder: &Path) -> Vec<Finding> {
    let writable = if folder.is_dir() {
        let written = tempfile::tempfile_in(folder);
        written
            .map(|_| "can be written".to_owned())
            .map_err(|error| format!("cannot be written: {error}"))
    } else if folder.exists() {
        Err("is not a folder".into())
    } else {
        // The folder that it would be made in.
        let above = folder.ancestors().find(|above| above.is_dir());
        let above = above.unwrap_or(Path::new("."));
        tempfile::tempfile_in(above)
            .map(|_| "will be made when needed".to_owned())
            .map_err(|error| format!("cannot be made in {}: {error}", above.display()))
    };
    let path = folder.display();
    let folder_finding = match writable {
        Ok(text) => finding("cache folder", State::Good, format!("{path}, {text}")),
        Err(text) => finding("cache folder", State::Bad, format!("{path}, {text}")),
    };
    let disk = match ocellus_hub::available_bytes(folder) {
        Ok(bytes) => finding("disk", State::Good, format!("{} free there", size(bytes))),
        Err(error) => finding("disk", State::Note, format!("free space unknown: {error}")),
    };
    vec![folder_finding, disk]
}

fn hub(context: &Context, online: bool) -> Vec<Finding> {
    let environment = &context.environment;
    let name = match environment.hub {
        Source::HuggingFace => "Hugging Face",
        Source::ModelScope => "ModelScope",
    };
    let mode = if environment.offline { ", offline mode" } else { "" };
    let hub = Hub::new(context.hub_config());
    if let Err(error) = hub.check() {
        return vec![finding("hub", State::Bad, error.to_string())];
    }
    let mut findings = vec![finding(
        "hub",
        State::Good,
        format!("{name} at {}{mode}", environment.endpoint),
    )];
    let token = match environment.token {
        // The token itself is never shown.
        Some(_) => "set; sent to https://huggingface.co only",
        None => "none; gated models cannot be downloaded",
    };
    findings.push(finding("token", State::Good, token));
    findings.push(match hub.list() {
        Ok(list) => {
            let bytes = list.iter().map(|cached| cached.size_bytes).sum();
            finding(
                "cached models",
                State::Good,
                format!("{}, {}", list.len(), size(bytes)),
            )
        }
        Err(error) => finding("cached models", State::Bad, error.to_string()),
    });
    if online {
        findings.push(match hub.ping() {
            Ok(()) => finding("hub connection", State::Good, "the hub answers"),
            Err(error) => finding("hub connection", State::Bad, error.to_string()),
        });
    }
    findings
}
