//! A run from start to end: steps, validation, checkpoints, history.
//!
//! A run lives in a folder of its own ([`RunFolder`]): `checkpoint.safetensors` (the whole state), `model.safetensors` (the averaged weights),
//! `history.jsonl` (a line every so many steps and one for each validation), `curve.png`.

use ocellus_base::clock::Clock;
use serde_json::json;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use crate::run_folder::CHECKPOINT;
use crate::trainer::{Report, Trainer, Validation};
use crate::{RunFolder, TrainError, curve};

/// How often things happen beside the steps.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    pub history_steps: u64,
    pub validate_ms: u64,
    pub checkpoint_ms: u64,
}

/// What a run tells while it goes.
pub trait Observer {
    /// After every step; `Break` saves and ends the run.
    fn step(&mut self, report: &Report) -> ControlFlow<()>;
    /// After a validation.
    fn validated(&mut self, step: u64, found: &Validation);
}

/// Steps until the recipe is done or the observer breaks; the state is saved at the end either way.
pub fn run(
    trainer: &mut Trainer,
    folder: &RunFolder,
    cadence: Cadence,
    clock: &dyn Clock,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    let folder = folder.path();
    let path = folder.join("history.jsonl");
    let mut history = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(TrainError::io(&path))?;
    let mut write = |line: serde_json::Value| writeln!(history, "{line}").map_err(TrainError::io(&path));
    let (mut saved, mut validated, started) = (clock.now_ms(), clock.now_ms(), clock.now_ms());
    let (mut examples, mut broken) = (0, false);
    while trainer.steps() < trainer.recipe().optimiser.steps && !broken {
        let report = trainer.step()?;
        examples += report.examples;
        broken = observer.step(&report).is_break();
        let now = clock.now_ms();
        if report.step % cadence.history_steps.max(1) == 0 {
            let rate = examples as f64 * 1000.0 / (now - started).max(1) as f64;
            write(json!({
                "step": report.step, "loss": report.loss, "frame_loss": report.frame_loss,
                "guide_loss": report.guide_loss, "gradient_norm": report.gradient_norm,
                "learning_rate": report.learning_rate, "examples_per_second": rate, "elapsed_ms": now - started,
            }))?;
        }
        if now - validated >= cadence.validate_ms {
            validated = validate(trainer, clock, observer, &mut write)?;
        }
        if now - saved >= cadence.checkpoint_ms {
            save(trainer, folder)?;
            saved = clock.now_ms();
        }
    }
    validate(trainer, clock, observer, &mut write)?;
    save(trainer, folder)
}

fn validate(
    trainer: &Trainer,
    clock: &dyn Clock,
    observer: &mut dyn Observer,
    write: &mut dyn FnMut(serde_json::Value) -> Result<(), TrainError>,
) -> Result<u64, TrainError> {
    let found = trainer.validate(clock)?;
    write(json!({
        "step": trainer.steps(), "character_error_rate": found.error_rate,
        "frame_error_rate": found.frame_error_rate,
    }))?;
    observer.validated(trainer.steps(), &found);
    Ok(clock.now_ms())
}

fn save(trainer: &Trainer, folder: &Path) -> Result<(), TrainError> {
    trainer.save(&folder.join(CHECKPOINT))?;
    trainer.export(&folder.join("model.safetensors"))?;
    curve::draw(&folder.join("history.jsonl"), &folder.join("curve.png"))
}
