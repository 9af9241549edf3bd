//! `ocellus train`: a run as a recipe describes it.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ocellus_train::run::{Cadence, Observer};
use ocellus_train::run_folder::CHECKPOINT;
use ocellus_train::trainer::Validation;
use ocellus_train::{Report, RunFolder, Trainer, TrainingRecipe};

use crate::args::Train;
use crate::context::Context;
use crate::error::Failure;
use crate::interrupt::Listener;
use crate::values::Device;
use crate::{destination, output};
use ocellus::SystemClock;

/// A line of history every so many steps, a validation and a checkpoint every quarter of an hour.
const CADENCE: Cadence = Cadence {
    history_steps: 10,
    validate_ms: 15 * 60_000,
    checkpoint_ms: 15 * 60_000,
};
/// Wrong readings that a validation shows.
const SHOWN: usize = 8;
/// Files beside the weights that make the run's folder a model folder.
const MODEL_FILES: &[&str] = &[
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "chat_template.jinja",
    "ocellus.json",
];

/// Trains until the recipe's last step or an interruption, leaving a checkpoint either way.
pub fn run(context: &Context, args: Train) -> Result<(), Failure> {
    ocellus_session::compute::check_device(context.global.device)?;
    if context.global.device != Device::Cpu {
        return Err(Failure::new("training runs on the CPU in this version").hint("leave out --device"));
    }
    if !args.recipe.is_file() {
        return Err(Failure::new(format!("{}: no such recipe", args.recipe.display()))
            .hint("a recipe is a TOML file; recipes/nano.toml is the built-in model's"));
    }
    let recipe = TrainingRecipe::read(&args.recipe)?;
    recipe.check_paths(&args.recipe)?;
    let before = match args.resume {
        true => Some(RunFolder::resume(&args.output)?),
        false => {
            RunFolder::check_new(&args.output)?;
            None
        }
    };
    let checkpoint = args.output.join(CHECKPOINT);
    let folder = recipe.model.folder.clone();
    let steps = recipe.optimiser.steps;
    let mut trainer = Trainer::new(recipe, args.resume.then_some(checkpoint.as_path()))?;
    context.warn(trainer.warnings())?;
    let run = match before {
        Some(run) => run,
        None => RunFolder::begin(&args.output)?,
    };
    copy_model_files(&folder, &args.output)?;
    if !context.global.quiet {
        output::note(&format!(
            "{} parameters, {} of {steps} steps done",
            output::count(trainer.parameters() as u64),
            trainer.steps()
        ));
    }
    let mut watch = Watch::new(
        context.global.quiet,
        trainer.steps(),
        steps,
        args.stop_after.map(|n| n.get().into()),
    );
    ocellus_train::run::run(&mut trainer, &run, CADENCE, &SystemClock::start(), &mut watch)?;
    watch.bar.finish();
    if watch.listener.requested() {
        return Err(Failure::interrupted());
    }
    Ok(())
}

fn copy_model_files(from: &Path, to: &Path) -> Result<(), Failure> {
    for name in MODEL_FILES {
        let source = from.join(name);
        if source.is_file() {
            let bytes = ocellus_base::files::read(&source, ocellus_base::limits::JSON_BYTES)
                .map_err(|e| Failure::io("read", &source, &e))?;
            destination::file(&to.join(name), &bytes)?;
        }
    }
    Ok(())
}

/// The progress bar, and the ear for Ctrl-C.
struct Watch {
    bar: ProgressBar,
    listener: Listener,
    left: Option<u64>,
    quiet: bool,
    error_rate: Option<f64>,
}

impl Watch {
    fn new(quiet: bool, done: u64, steps: u64, left: Option<u64>) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        let target = if shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template("[{bar:24}] {pos}/{len} {msg} eta {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(steps), target)
            .with_style(style)
            .with_position(done);
        bar.reset_eta();
        Self {
            bar,
            listener: Listener::new(),
            left,
            quiet,
            error_rate: None,
        }
    }
}

impl Observer for Watch {
    fn step(&mut self, report: &Report) -> ControlFlow<()> {
        let rate = self.bar.per_sec() * report.examples as f64;
        let errors = self
            .error_rate
            .map_or_else(String::new, |e| format!(" cer {:.2} %", e * 100.0));
        self.bar
            .set_message(format!("loss {:.3}{errors} {rate:.0} samples/s", report.loss));
        self.bar.set_position(report.step + 1);
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
        }
        if self.listener.requested() || self.left == Some(0) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn validated(&mut self, step: u64, found: &Validation) {
        self.error_rate = Some(found.error_rate);
        if self.quiet {
            return;
        }
        self.bar.suspend(|| {
            let frames = found.frame_error_rate.map_or_else(String::new, |rate| {
                format!(", {:.2} % by frames alone", rate * 100.0)
            });
            output::note(&format!(
                "step {step}: character error rate {:.2} %{frames}",
                found.error_rate * 100.0
            ));
            for reading in found.readings.iter().filter(|r| r.truth != r.read).take(SHOWN) {
                let frames = reading.by_frames.as_ref();
                let frames = frames.map_or_else(String::new, |text| format!(", by frames as {text:?}"));
                output::note(&format!(
                    "  {:?} was read as {:?}{frames}",
                    reading.truth, reading.read
                ));
            }
        });
    }
}
