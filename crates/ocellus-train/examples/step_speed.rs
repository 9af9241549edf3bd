//! Times the steps of a training recipe: one line of CSV per step, the first of which warms up.
//!
//!     cargo run --release -p ocellus-train --example step_speed -- RECIPE STEPS
//!     CANDLE_NUM_THREADS=1 cargo run --release -p ocellus-train --features composed --example step_speed -- RECIPE STEPS
//!
//! With `composed`, every fused operation is its twin in plain candle: the same losses, for comparison. Candle's own threads
//! are best left to one then, because the recipe's shards are threads already.

use std::process::ExitCode;
use std::time::Instant;

use ocellus_train::{TrainError, Trainer, TrainingRecipe};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let recipe = arguments.next();
    let steps = arguments.next().and_then(|n| n.parse::<usize>().ok());
    let (Some(recipe), Some(steps)) = (recipe, steps) else {
        eprintln!("usage: step_speed RECIPE STEPS");
        return ExitCode::FAILURE;
    };
    match time(recipe.as_ref(), steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn time(recipe: &std::path::Path, steps: usize) -> Result<(), TrainError> {
    let mut trainer = Trainer::new(TrainingRecipe::read(recipe)?, None)?;
    println!("kind,step,ms,loss,gradient_norm");
    let kind = if cfg!(feature = "composed") {
        "composed"
    } else {
        "fused"
    };
    for step in 0..=steps {
        let started = Instant::now();
        let report = trainer.step()?;
        let ms = started.elapsed().as_secs_f64() * 1e3;
        println!(
            "{kind},{step},{ms:.1},{:.6},{:.6}",
            report.loss, report.gradient_norm
        );
    }
    Ok(())
}
