//! The pictures and texts on which a model is run before it is quantised.

use std::path::{Path, PathBuf};

use ocellus_hub::Checkpoint;
use ocellus_session::{Calibration, CalibrationSample, Usage};

use crate::context::Context;
use crate::error::Failure;
use crate::interrupt::Listener;
use crate::values::Quant;
use crate::{inputs, progress};

/// Runs the model that `width` will round over everything in `paths`.
pub fn gather(
    context: &Context,
    checkpoint: &Checkpoint,
    width: Quant,
    paths: &[PathBuf],
) -> Result<Calibration, Failure> {
    let mut samples = Vec::new();
    for argument in paths {
        for path in inputs::expand_with_texts(argument)? {
            let name = inputs::name(&path);
            let sample = read(&path).map_err(|failure| failure.about(&name))?;
            samples.push((name, sample));
        }
    }
    let mut started = |index: usize| {
        let (name, _) = &samples[index];
        progress::note(
            context.global.quiet,
            &format!("calibration, {} of {}: {name}", index + 1, samples.len()),
        );
    };
    let options = context.options(checkpoint, Usage::default());
    let listener = Listener::new();
    let cancelled = || listener.requested();
    let calibration = Calibration::gather(checkpoint, &options, width, &samples, (&mut started, &cancelled))?;
    if calibration.rows == 0 {
        return Err(
            Failure::new(format!("{}: nothing went through the model", checkpoint.name))
                .hint("give --calibration pictures in which there is something to read"),
        );
    }
    Ok(calibration)
}

fn read(path: &Path) -> Result<CalibrationSample, Failure> {
    Ok(match inputs::is_text(path) {
        true => CalibrationSample::Text(inputs::read_text(path)?),
        false => CalibrationSample::Picture(inputs::read(path)?),
    })
}
