//! The model of a case, loaded as every command loads one.

use std::rc::Rc;
use std::sync::Arc;

use candle_core::Device;
use ocellus_models::{CONFIG_FILES, ConfigFile, Facts, Learner, Model, Trace, families};
use ocellus_nn::{Params, Precision, Trainable};

use crate::case::{Case, read_text};
use crate::error::CaseError;
use crate::momentum;
use ocellus_session::{Activations, Compute, Quant, checkpoint};
use ocellus_weights::Weights;

/// For inference, on the CPU at the case's width.
pub fn frozen(case: &Case) -> Result<Box<dyn Model>, CaseError> {
    let weights = Arc::new(weights(case)?);
    let config = config(case)?;
    let model = compute(case).build(&config, weights)?;
    allow(case, &config)?;
    Ok(model)
}

/// At the case's width, in which activations are computed as well unless it has few bits.
fn compute(case: &Case) -> Compute {
    Compute::on_cpu(case.width).with(match case.width {
        Quant::F32 => Activations::F32,
        Quant::Bf16 => Activations::Bf16,
        Quant::Q8 | Quant::Q6 | Quant::Q4 => Activations::Int8,
    })
}

/// As [`frozen`], for a family that replays its reference forward pass.
pub fn trace(case: &Case) -> Result<Option<Box<dyn Trace>>, CaseError> {
    let weights = Arc::new(weights(case)?);
    let config = config(case)?;
    let model = compute(case).trace(&config, weights)?;
    allow(case, &config)?;
    Ok(model)
}

/// A model with what its training objective needs, on the CPU in f32, with the variables that it is made of.
pub fn learner(case: &Case) -> Result<(Box<dyn Learner>, Rc<Trainable>), CaseError> {
    let (config, source) = (config(case)?, trainable_source(case)?);
    let family = ocellus_models::find(&config)?;
    let params = Params::new(source.clone(), Precision::F32);
    let learner = match family.learner {
        Some(load) => load(&config, &params)?,
        None => None,
    };
    let learner = learner.ok_or_else(|| momentum::none(family.id))?;
    allow(case, &config)?;
    source.finish(|name| family.ignores(name))?;
    Ok((learner, source))
}

fn trainable_source(case: &Case) -> Result<Rc<Trainable>, CaseError> {
    Ok(Rc::new(Trainable::from_weights(weights(case)?, Device::Cpu)))
}

/// The tensors, changed by the adapter beside them if there is one.
fn weights(case: &Case) -> Result<Weights, CaseError> {
    let folder = case.model();
    let adapter = ocellus_hub::adapter::beside(&folder);
    let (weights, adapter) = checkpoint::weights(&folder, adapter.as_deref())?;
    let warnings = adapter.map(|adapter| adapter.warnings).unwrap_or_default();
    match warnings.first().filter(|_| case.strict) {
        Some(warning) => Err(CaseError::Refused(warning.clone())),
        None => {
            case.warnings.borrow_mut().extend(warnings);
            Ok(weights)
        }
    }
}

/// For training, on the CPU in f32, with the variables that it is made of.
pub fn trainable(case: &Case) -> Result<(Box<dyn Model>, Rc<Trainable>), CaseError> {
    let (config, source) = (config(case)?, trainable_source(case)?);
    let family = ocellus_models::find(&config)?;
    let model = (family.load)(&config, &Params::new(source.clone(), Precision::F32))?;
    allow(case, &config)?;
    source.finish(|name| family.ignores(name))?;
    Ok((model, source))
}

/// What a config says without its weights.
pub fn facts(case: &Case) -> Result<Facts, CaseError> {
    let config = config(case)?;
    let family = ocellus_models::find(&config)?;
    match family.shape {
        Some(shape) => Ok(shape(&config)?.facts),
        None => Err(CaseError::Refused(format!(
            "family `{}` has no positions",
            family.id
        ))),
    }
}

/// What a config warned of is an error, unless the case is run with warnings.
fn allow(case: &Case, config: &ConfigFile) -> Result<(), CaseError> {
    if case.strict {
        return Ok(config.strict()?);
    }
    let warnings = config.warnings().into_iter().map(|warning| warning.to_string());
    case.warnings.borrow_mut().extend(warnings);
    Ok(())
}

fn config(case: &Case) -> Result<ConfigFile, CaseError> {
    let mut names = CONFIG_FILES.iter().map(|name| case.model().join(name));
    let text = read_text(
        &names
            .find(|path| path.exists())
            .unwrap_or_else(|| case.model().join(CONFIG_FILES[0])),
    )?;
    Ok(families::parse(&text)?)
}
